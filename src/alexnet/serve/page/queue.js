/** Tasks, a few at a time. */
export class Queue {
  /**
   * @param {number} width tasks at a time
   * @param {(done: number, total: number) => void} onChange counts since the queue was last empty
   */
  constructor(width, onChange) {
    this.width = width;
    this.onChange = onChange;
    this.waiting = [];
    this.running = this.done = this.total = 0;
  }

  /** @param {() => Promise<void>} task does not fail */
  add(task) {
    this.waiting.push(task);
    this.total += 1;
    this.next();
  }

  next() {
    while (this.running < this.width && this.waiting.length) this.run(this.waiting.shift());
    this.onChange(this.done, this.total);
  }

  async run(task) {
    this.running += 1;
    await task();
    this.running -= 1;
    this.done += 1;
    if (!this.running && !this.waiting.length) this.done = this.total = 0;
    this.next();
  }
}
