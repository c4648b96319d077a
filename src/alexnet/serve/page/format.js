/** Numbers as people read them. */

/** A fraction as percent; what is above zero is never shown as 0. */
export function percent(fraction) {
  if (fraction > 0 && fraction < 0.0005) return "< 0.1 %";
  return `${(100 * fraction).toFixed(1)} %`;
}
