/**
 * A plug-in for Uppy: a file that has been sent stays in its post-processing until the service is done
 * with it. How the file is sent is for an uploader of Uppy's own (Tus, XHRUpload).
 */

/**
 * @import { Body, Meta, PluginOpts, Uppy, UppyFile } from "@uppy/core"
 * @import { ServiceOptions, UploadState } from "./index.js"
 * @import { PanelTexts } from "./panel.js"
 *
 * @typedef {Uppy<Meta, Body>} AnyUppy
 * @typedef {UppyFile<Meta, Body>} File
 * @typedef {ServiceOptions & { id?: string, client?: Client, lang?: string, texts?: PanelTexts }} Options
 */

import { BasePlugin } from "@uppy/core";
import { Client } from "./uploads/client.js";
import { UploadError } from "./service/errors.js";
import { loadTexts, localeOf } from "./text/locale.js";
import { placeText, startText } from "./text/place.js";
import { errorText, mergeTexts, messageText, TEXTS } from "./text/texts.js";

/** @extends {BasePlugin<PluginOpts, Meta, Body>} */
export default class SseProgress extends BasePlugin {
  /** @type {Client | null} */
  #client = null;
  #given;
  #service;
  #words;
  #texts = TEXTS;
  /** @type {Promise<void> | null} */
  #spoken = null;

  /**
   * Options as Client's, or `client`: one of your own; `lang` and `texts` as the panel's.
   * @param {AnyUppy} uppy
   * @param {Options} [options]
   */
  constructor(uppy, { id = "SseProgress", client, lang, texts, ...service } = {}) {
    super(uppy, {});
    this.id = id;
    this.type = "modifier";
    this.#given = client;
    this.#service = service;
    this.#words = { lang, texts };
  }

  /** @override */
  install() {
    this.#client = this.#given ?? new Client({ ...this.#service, remember: false });
    this.#spoken = this.#localize();
    this.uppy.addPostProcessor(this.#process);
  }

  /** @override */
  uninstall() {
    this.uppy.removePostProcessor(this.#process);
    if (!this.#given) this.#client?.close();
    this.#client = null;
  }

  async #localize() {
    const { lang, texts } = this.#words;
    this.#texts = mergeTexts(texts, await loadTexts(localeOf(lang ? [lang] : undefined)));
  }

  /**
   * Uppy waits for what this returns, and is complete then.
   * @param {string[]} fileIds
   */
  #process = async (fileIds) => {
    await this.#spoken;
    const sent = fileIds.map((id) => this.uppy.getFile(id)).filter((file) => file && !file.error);
    await Promise.all(sent.map((file) => this.#await(file)));
  };

  /** @param {File} file */
  async #await(file) {
    const client = /** @type {Client} */ (this.#client);
    const id = uploadIdOf(file);
    if (id === null) return this.#fail(file.id, new UploadError({ code: "no_id", detail: NO_ID }));
    const upload = client.follow(id);
    const stop = upload.observe(({ state }) => this.#show(file.id, state));
    const removal = this.#removalOf(file.id);
    removal.then(() => upload.cancel()).catch(() => {}); // it has ended, or the service is away
    this.#show(file.id, upload.state);
    try {
      const media = await Promise.race([upload.done, removal]);
      if (media) this.#complete(file.id, media);
    } catch (error) {
      this.#fail(file.id, /** @type {UploadError} */ (error));
    }
    stop();
    if (!this.#given) upload.forget();
  }

  /**
   * Resolves once the file is removed, in Uppy's sense of cancelled.
   * @param {string} fileId
   * @returns {Promise<undefined>}
   */
  #removalOf(fileId) {
    return new Promise((resolve) => {
      const removed = (/** @type {File} */ file) => {
        if (file.id !== fileId) return;
        this.uppy.off("file-removed", removed);
        resolve(undefined);
      };
      this.uppy.on("file-removed", removed);
    });
  }

  /**
   * @param {string} fileId
   * @param {UploadState} state
   */
  #show(fileId, state) {
    const file = this.uppy.getFile(fileId);
    if (!file) return;
    const place = [placeText(this.#texts, state), startText(this.#texts, state)].filter(Boolean).join(" · ");
    const message = place || messageText(this.#texts, state);
    this.uppy.emit("postprocess-progress", file, {
      mode: "determinate",
      value: state.progress / 100,
      message,
    });
  }

  /**
   * @param {string} fileId
   * @param {import("./index.js").Media} media
   */
  #complete(fileId, media) {
    const file = this.uppy.getFile(fileId);
    if (!file) return;
    this.uppy.setFileState(fileId, { response: { ...file.response, status: 200, body: { ...media } } });
    this.uppy.emit("postprocess-complete", this.uppy.getFile(fileId));
  }

  /**
   * The service has the file and does not take it. A retry begins at its first byte, under a new id.
   * @param {string} fileId
   * @param {UploadError} error
   */
  #fail(fileId, error) {
    const file = this.uppy.getFile(fileId);
    if (!file) return;
    const { postprocess, complete, ...progress } = file.progress;
    const unsent = { ...progress, uploadStarted: null, uploadComplete: false, bytesUploaded: false };
    const { tus } = /** @type {File & { tus?: object }} */ (file);
    this.uppy.setFileState(
      fileId,
      /** @type {Partial<File>} */ ({
        progress: unsent,
        uploadURL: undefined,
        tus: tus && { ...tus, uploadUrl: null },
      }),
    );
    const shown = new Error(errorText(this.#texts, error), { cause: error });
    this.uppy.emit("upload-error", this.uppy.getFile(fileId), shown);
  }
}

const NO_ID = "The answer names no upload: is the endpoint that of an sse_progress service?";

/**
 * As the answer to the last request has it: in its body, or as the address of a resumable upload.
 * @param {File} file
 */
function uploadIdOf({ response, uploadURL }) {
  const told = /** @type {{ uploadId?: unknown } | undefined} */ (response?.body)?.uploadId;
  if (typeof told === "string") return told;
  const named = /\/upload\/([^/?#]+)$/.exec(uploadURL ?? "")?.[1];
  return named ? decodeURIComponent(named) : null;
}
