/** Images that are dropped, pasted, chosen or photographed. */

/**
 * @param {HTMLElement} area shows that files can be dropped; they can be on the whole page
 * @param {(files: File[]) => void} onFiles
 * @param {(text: string) => void} onNothing tells why there is no file
 */
export function setUpIntake(area, onFiles, onNothing) {
  const take = (files, reason) => (files.length ? onFiles([...files]) : onNothing(reason));
  setUpInput("choose", "files", take);
  setUpInput("photograph", "camera", take);
  setUpDrop(area, take);
  document.addEventListener("paste", (event) => {
    if (event.target instanceof HTMLInputElement) return;
    event.preventDefault();
    take(event.clipboardData.files, "There is no image in the clipboard.");
  });
}

function setUpInput(buttonId, inputId, take) {
  const input = document.getElementById(inputId);
  document.getElementById(buttonId).addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    take(input.files, "No image was chosen.");
    input.value = ""; // the same file can be chosen again
  });
}

function setUpDrop(area, take) {
  let depth = 0; // of the elements that the pointer has entered
  const show = (change) => {
    depth = Math.max(0, depth + change);
    area.classList.toggle("over", depth > 0);
  };
  document.addEventListener("dragenter", () => show(1));
  document.addEventListener("dragleave", () => show(-1));
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    show(-depth);
    take(event.dataTransfer.files, "What was dropped is no file. Save the image, and drop its file.");
  });
}
