/** The field for the server's token. */

const form = document.getElementById("token-form");
const field = document.getElementById("token");
const error = document.getElementById("token-error");
let entered = null; // a promise while the reader is asked

/**
 * The token that the reader enters; several requests that need it ask once.
 * @param {boolean} isWrong whether the last one was refused
 * @returns {Promise<string>}
 */
export function askToken(isWrong) {
  entered ??= enter(isWrong).finally(() => { entered = null; });
  return entered;
}

async function enter(isWrong) {
  error.textContent = isWrong ? "That is not the server’s token." : "";
  form.hidden = false;
  field.focus();
  await new Promise((done) => form.addEventListener("submit", (event) => {
    event.preventDefault();
    done();
  }, { once: true }));
  const token = field.value.trim();
  field.value = "";
  form.hidden = true;
  return token;
}
