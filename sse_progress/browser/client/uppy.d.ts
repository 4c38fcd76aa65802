/** Types of the plug-in for Uppy. */

import { BasePlugin, type Body, type Meta, type PluginOpts, type Uppy } from "@uppy/core";
import type { Client, ServiceOptions } from "./index.js";
import type { PanelTexts } from "./panel.js";

/** Where the service is, and whose client asks it. */
export interface SseProgressOptions extends ServiceOptions {
  /** Uppy's name for this plug-in. Default: `SseProgress` */
  id?: string;
  /** A client of your own, in place of one for `url`. */
  client?: Client;
  /** The language of what Uppy shows, as a tag of BCP 47. Default: the reader's */
  lang?: string;
  /** As of the panel. */
  texts?: PanelTexts;
}

/**
 * Keeps each file that was sent in Uppy's post-processing until the service is done with it: `complete`
 * then, with the media as `file.response.body`, or `upload-error`, whose `error.cause` is an UploadError.
 * A file that is removed meanwhile is cancelled on the service.
 */
export default class SseProgress<M extends Meta = Meta, B extends Body = Body> extends BasePlugin<
  PluginOpts,
  M,
  B
> {
  /** Called by `uppy.use(SseProgress, options)`. */
  constructor(uppy: Uppy<M, B>, options?: SseProgressOptions);
}
