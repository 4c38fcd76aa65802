/** Types of `<upload-panel>`. */

import type { Client, Link, Phase, StageName } from "./index.js";

/** A text, or one for each plural category of Intl.PluralRules. */
export type Text = string | ({ other: string } & Record<string, string>);

/** Words of your own, over those in the reader's language. What is in braces is filled in. */
export interface PanelTexts {
  /** Language of the numbers and plural forms, as a tag of BCP 47. */
  lang?: string;
  /** The name of the panel, for screen readers. */
  label?: string;
  /** The button that leaves only the headline. */
  minimize?: string;
  /** The button that shows the entries again. */
  restore?: string;
  /** The button that hides the panel. */
  dismissAll?: string;
  /** Button of an entry. */
  cancel?: string;
  /** Button of an entry. */
  pause?: string;
  /** Button of an entry. */
  resume?: string;
  /** Under a paused upload of a file that is not at hand. */
  goOn?: string;
  /** Button of an entry. */
  retry?: string;
  /** Button of an entry. */
  dismiss?: string;
  /** The name of an upload whose file name is not known, with the end of its id. */
  unnamed?: string;
  /** The name of the bar of all uploads, for screen readers. */
  overall?: string;
  /** Headline while files are being sent. */
  active?: Text;
  /** Headline once all are sent, and the service works on some. */
  working?: Text;
  /** Headline once all have ended. */
  settled?: Text;
  /** Uploads that were cancelled, in the headline. */
  stopped?: Text;
  /** Uploads that were refused or failed, in the headline. */
  trouble?: Text;
  /** Button of `<upload-drop>`. */
  sendFiles?: Text;
  /** A percent as screen readers say it. */
  percent?: string;
  /** Bytes that are sent, of all. */
  of?: string;
  /** Files that are done, of those that are sent together. */
  counted?: string;
  /** Bytes a second. */
  speed?: string;
  /** How long sending still takes. */
  left?: string;
  /** The first in the queue. */
  nextInLine?: string;
  /** The others in the queue; by plural category of ordinals. */
  inLine?: Text;
  /** When the turn of a file in the queue comes. */
  starts?: string;
  /** The same for less than a minute. */
  startsSoon?: string;
  /** The same where there is no estimate. */
  startsUnknown?: string;
  /** What screen readers are told of one upload. */
  announce?: string;
  /** What screen readers are told when much changes at once. */
  summary?: string;
  /** Uploads beyond those that are listed. */
  rest?: Text;
  /** The sentence of a stage that has ended and said nothing else. */
  stageDone?: string;
  /** Under the headline, by what the connection is doing. */
  link?: Partial<Record<Link, string>>;
  /** How far an upload is, by its phase. */
  phase?: Partial<Record<Phase | "cancelling" | "paused" | "away" | "review", string>>;
  /** Titles of stages, by their names. */
  stage?: Partial<Record<StageName, string>>;
  /** What went wrong, by the code; where there is no text, what the service says is shown. */
  error?: Record<string, string>;
  /** The service's sentences, by `messageKey`; where there is no text, it is shown as it came. */
  message?: Record<string, string>;
  /** Words of `<upload-drop>`. */
  drop?: Record<string, string>;
}

/** As they are written in HTML; a true one is there, whatever its value. */
export interface UploadPanelAttributes {
  /** The service's root with its prefix. Default: where the module came from */
  url?: string;
  /** The corner. Default: `bottom-right` */
  position?: "bottom-right" | "bottom-left" | "top-right" | "top-left";
  /** Seconds until an entry that is done or cancelled goes; 0: it stays. Default: 20 */
  "clear-after"?: string | number;
  /** Only the headline is shown. The panel sets and removes it as well. */
  minimized?: boolean;
  /** A language, as a tag of BCP 47. Default: the reader's */
  lang?: string;
  /** Show also what was sent before a reload, or from other tabs and devices. */
  watch?: boolean;
}

/** What is being uploaded, floating in a corner. What was refused or has failed stays until it is dismissed. */
export declare class UploadPanel extends HTMLElement {
  /** The Client that is shown. Default: the shared one for the attribute `url` */
  client: Client;
  /** Words of your own. */
  texts: PanelTexts;
  /** Hide the panel and forget what has ended; the next upload brings it back. */
  dismiss(): void;
}

declare global {
  interface HTMLElementTagNameMap {
    "upload-panel": UploadPanel;
  }
}
