/** The image as the reader sees it. */
import { el } from "./base.js";
import { Overlay } from "./overlay.js";

const MAX_HEIGHT = "30rem";
const COARSE_SIDE = 96; // below this the pixels are shown as squares

/** A figure of an image file. */
export class Picture {
  /** @param {File} file */
  constructor(file) {
    this.address = URL.createObjectURL(file);
    this.image = el("img", { src: this.address, alt: "" });
    this.image.addEventListener("load", () => this.fit());
    this.image.addEventListener("error", () => this.showMissing());
    this.stage = el("div", { class: "stage" }, this.image);
    this.caption = el("figcaption", { class: "small soft" }, el("bdi", {}, file.name));
    this.overlay = new Overlay(this.stage);
    this.node = el("figure", { class: "picture" }, this.stage, this.caption, this.overlay.node);
  }

  /** No higher than MAX_HEIGHT, with the image's own proportions. */
  fit() {
    const { naturalWidth: width, naturalHeight: height } = this.image;
    this.image.classList.toggle("coarse", Math.max(width, height) < COARSE_SIDE);
    this.caption.append(` · ${width} × ${height}`);
    this.setSize(width, height);
  }

  /** The proportions of the image; the server knows them where the browser does not. */
  setSize(width, height) {
    this.stage.style.aspectRatio = `${width} / ${height}`;
    this.stage.style.maxWidth = `calc(${MAX_HEIGHT} * ${width / height})`;
  }

  /** The server reads kinds that a browser does not, such as TIFF, and HEIC on most systems. */
  showMissing() {
    this.stage.classList.add("missing-image");
    this.image.replaceWith(el("p", { class: "soft small" }, "This browser cannot show the image."));
  }

  close() {
    URL.revokeObjectURL(this.address);
  }
}
