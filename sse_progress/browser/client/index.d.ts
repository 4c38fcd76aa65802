/** Types of the browser client of sse_progress. */

/** Where the service is, and who asks. */
export interface ServiceOptions {
  /**
   * The service's root with its prefix, absolute or relative to the document. Default: the service
   * that the module was loaded from, or else the document's directory.
   */
  url?: string;
  /** A token, or a function that is asked for one before every request. Without it: cookies. */
  token?: string | (() => string | null | Promise<string | null>) | null;
  /** As for fetch; `include` for cookies of another origin. Default: `same-origin` */
  credentials?: RequestCredentials;
  /** The user, where a cookie says who it is: tabs share a stream only with tabs of the same one. */
  caller?: string;
  /** How events come. Default: `auto` */
  transport?: Transport;
}

/**
 * `auto`: an event stream; where those are held back, a WebSocket, if the runtime has one; else requests
 * again and again. `sse`, `ws`: that one, else requests. `poll`: requests only.
 */
export type Transport = "auto" | "sse" | "ws" | "poll";

export interface ClientOptions extends ServiceOptions {
  /** Bodies sent at once; the rest waits. Default: 3 */
  parallel?: number;
  /** Keep file names in this browser so that they survive a reload. Default: true */
  remember?: boolean;
  /**
   * `shared`: one stream of all uploads for every tab of this browser with the same user, where the
   * browser has Web Locks. `alone`: one for this tab. Default: `shared`
   */
  tabs?: "shared" | "alone";
}

export type KnownStage =
  | "receiving"
  | "file_received"
  | "validating"
  | "analyzing"
  | "moderating"
  | "processing"
  | "finalizing"
  | "complete"
  | "error"
  | "cancelled";

/** A stage of the table, or one that a service of another version has. */
export type StageName = KnownStage | (string & {});

/** `checking`: the request broke, and the service is being asked what arrived. */
export type Phase =
  | "waiting"
  | "sending"
  | "checking"
  | "working"
  | "done"
  | "refused"
  | "failed"
  | "cancelled";

/** What the connection is doing. `denied`: the service wants other credentials. */
export type Link = "idle" | "connecting" | "live" | "reconnecting" | "polling" | "denied";

/** One message of a progress stream, as it came. Unknown fields may be there. */
export interface ProgressEvent {
  type: "connected" | "progress" | "reset";
  uploadId: string;
  /** Whole upload, 0–100. */
  progress?: number;
  stage?: StageName;
  /** This stage, 0–100. */
  stageProgress?: number;
  /** One plain sentence for a person. */
  message?: string;
  /** The sentence for translators, where it is a built-in one, and what it is filled with. */
  messageKey?: string;
  messageArgs?: Record<string, string>;
  /** UTC, RFC 3339 with milliseconds. */
  timestamp?: string;
  /** Its kind, context and batch, if it was labelled with them. */
  kind?: string;
  context?: Record<string, string>;
  batchId?: string;
  /** Once it is known. */
  filename?: string;
  bytes?: number;
  total?: number;
  etaSeconds?: number;
  /** True while a resumable upload waits for its sender to come back. */
  paused?: boolean;
  /** `review` while a person decides. */
  waiting?: string;
  /** What the work is made of, counted. */
  items?: Record<string, number>;
  media?: Media;
  /** With `complete`, what a job of another service came to. */
  result?: Record<string, unknown>;
  error?: UploadFailure;
}

export interface UploadFailure {
  /** Stable; `network` if the service could not be reached. */
  code: string;
  /** One sentence for a person; may be empty. */
  detail: string;
  stage: StageName | null;
}

export interface MediaFile {
  name: string;
  contentType: string;
  size: number;
  url: string;
}

export interface Media {
  id: string;
  filename: string;
  /** Detected, not claimed. */
  contentType: string;
  size: number;
  sha256: string;
  fields: Record<string, string | string[]>;
  url: string;
  files: MediaFile[];
  analysis: Record<string, unknown>;
  moderation: { verdict?: "approved" | "review"; notChecked?: string[] } & Record<string, unknown>;
  createdAt: string;
}

/** A stage that has begun, and its latest sentence. */
export interface PassedStage {
  readonly stage: StageName;
  /** Time of its first event in the journal; null where that is not known here. */
  readonly from: string | null;
  /** Time of the last event that was seen. */
  readonly to: string | null;
  readonly message: string;
}

/** Everything that is known of an upload. Frozen; a change is a new object. */
export interface UploadState {
  readonly id: string;
  readonly filename: string | null;
  /** The file's bytes; null for an upload that was sent from elsewhere. */
  readonly size: number | null;
  /** null: the usual one */
  readonly kind: string | null;
  readonly phase: Phase;
  readonly stage: StageName | null;
  /** 0–100; stays where it was when an upload fails. */
  readonly progress: number;
  readonly stageProgress: number;
  readonly message: string;
  /** The key of `message` where it is a built-in one: see `texts.message` of the panel. */
  readonly messageKey: string | null;
  readonly messageArgs: Readonly<Record<string, string>>;
  readonly timestamp: string | null;
  /** Body bytes that left or arrived, of `total`. */
  readonly bytes: number | null;
  readonly total: number | null;
  readonly etaSeconds: number | null;
  readonly media: Media | null;
  readonly error: UploadFailure | null;
  /** The stage in which it failed, was refused or was cancelled. */
  readonly endedIn: StageName | null;
  /** Whether the service itself has spoken of this upload yet. */
  readonly fromServer: boolean;
  readonly cancelling: boolean;
  /** It waits to be resumed: by its sender here, or wherever it was begun. */
  readonly paused: boolean;
  /** It is sent from here, and the network is away: it goes on by itself. */
  readonly away: boolean;
  /** `review` while a person decides. */
  readonly waiting: string | null;
  /** Stages in the order in which they began. */
  readonly passed: readonly PassedStage[];
  /** Some of `passed`, or of its times, were not seen: `Upload.readHistory` fills them in. */
  readonly gaps: boolean;
  /** The stage that the service itself told of last. */
  readonly heard: StageName | null;
}

/** `event` is null for a change that was made here, such as bytes leaving the browser. */
export type Listener = (upload: Upload, event: ProgressEvent | null) => void;

export interface ObserveOptions {
  signal?: AbortSignal;
}

export interface FollowOptions extends ObserveOptions {
  onEvent?: Listener;
}

export interface UploadOptions extends FollowOptions {
  /** Name of the upload, `[A-Za-z0-9][A-Za-z0-9_.~-]{0,127}`; one is made without it. */
  id?: string;
  filename?: string;
  /** Send it in parts that can be resumed: by default from 8 MiB on, if no field is a list. */
  resumable?: boolean;
  /** The batch that it joins. */
  batch?: string;
  /** Its kind, one of those in `GET /config`. */
  kind?: string;
  /** What it belongs to, for lists and streams to filter by. */
  context?: Record<string, string>;
  /** Text fields kept as metadata; a list repeats the field. */
  fields?: Record<string, string | number | boolean | (string | number | boolean)[]>;
}

export declare class Upload {
  private constructor();
  readonly id: string;
  readonly file: Blob | null;
  readonly state: UploadState;
  readonly link: Link;
  readonly createdAt: number;
  readonly ended: boolean;
  readonly canRetry: boolean;
  /** Resolves when the upload is complete; rejects with UploadError however else it ends. */
  readonly done: Promise<Media>;
  observe(listener: Listener, options?: ObserveOptions): () => void;
  cancel(): Promise<void>;
  /** Whether it can be paused, or is, by this page: it is being sent from here in parts. */
  readonly canPause: boolean;
  /** Whether this browser has begun it, and the same file, chosen again, goes on where it was. */
  readonly canGoOn: boolean;
  /** Stop sending, and keep what has arrived. */
  pause(): void;
  /** Go on where it was. */
  resume(): void;
  retry(): Upload;
  /** Read the journal, so that `state.passed` is whole; resolves to whether there was one to read. */
  readHistory(): Promise<boolean>;
  forget(): void;
}

export interface Rules {
  /** null: no limit */
  readonly maxUploadBytes: number | null;
  /** Media types, also such as `image/*`; empty: any */
  readonly acceptedTypes: string[];
}

export interface BatchOptions {
  /** Made without it. */
  id?: string;
  /** How many items there will be: the batch ends by itself with the last of them. */
  total?: number;
  title?: string;
  kind?: string;
  context?: Record<string, string>;
}

/** How many of a batch's items have come to what. */
export interface BatchItems {
  readonly total: number;
  readonly complete: number;
  readonly error: number;
  readonly cancelled: number;
  readonly running: number;
}

export interface BatchState {
  readonly id: string;
  readonly progress: number;
  readonly stage: StageName | null;
  readonly message: string;
  readonly items: BatchItems;
  /** The item that moved last. */
  readonly item: { readonly uploadId: string; readonly status: string } | null;
  readonly ended: boolean;
}

export declare class Batch {
  private constructor();
  readonly id: string;
  readonly state: BatchState;
  /** Resolves to the last state, whatever its items came to. */
  readonly done: Promise<BatchState>;
  observe(listener: (batch: Batch) => void, options?: ObserveOptions): () => void;
  close(): Promise<void>;
  cancel(): Promise<void>;
  forget(): void;
}

export declare class Client {
  constructor(options?: ClientOptions);
  readonly url: string;
  readonly link: Link;
  readonly hasToken: boolean;
  readonly uploads: ReadonlyMap<string, Upload>;
  set token(token: ServiceOptions["token"]);
  headers(): Promise<Record<string, string>>;
  upload(file: Blob, options?: UploadOptions): Upload;
  follow(id: string, options?: FollowOptions): Upload;
  /** What the service accepts of a kind. */
  rules(kind?: string): Promise<Rules>;
  createBatch(options?: BatchOptions): Promise<Batch>;
  followBatch(id: string): Batch;
  watch(options?: { limit?: number }): Promise<() => void>;
  /** Take in a part of the list of uploads, also of long ago; null if the service cannot be asked. */
  readList(options?: {
    limit?: number;
    after?: string | null;
  }): Promise<{ ids: string[]; next: string | null } | null>;
  observe(listener: Listener, options?: ObserveOptions): () => void;
  observeLink(listener: (link: Link) => void, options?: ObserveOptions): () => void;
  close(): void;
}

export declare class UploadError extends Error {
  constructor(failure: Partial<UploadFailure> & { code: string; status?: number });
  readonly code: string;
  readonly detail: string;
  readonly stage: StageName | null;
  readonly status: number;
}

export declare class Decoder {
  readonly lastEventId: string;
  readonly retryMs: number | null;
  feed(text: string): { event: string; data: string; id: string }[];
}

export interface Stage {
  readonly name: StageName;
  readonly rank: number;
  readonly lo: number;
  readonly hi: number;
  readonly terminal: boolean;
  readonly title: string;
}

export declare const STAGES: readonly Stage[];

export interface NotifyOptions {
  /** Default: `complete` and `error` */
  on?: ("complete" | "error" | "cancelled")[];
  /** The notification's title; without it: "photo.jpg: Done", "3 uploads finished". */
  title?: (uploads: Upload[]) => string;
  /** As of the panel. */
  texts?: import("./panel.js").PanelTexts;
  signal?: AbortSignal;
}

/** Ask for permission to notify, from a click. Resolves to whether there is permission. */
export declare function askToNotify(): Promise<boolean>;
/** Notify of ends while no tab of this origin is visible; the function that is returned ends it. */
export declare function notifyOf(client: Client, options?: NotifyOptions): () => void;
export declare function hasEnded(state: UploadState): boolean;
export declare function phaseOfError(code: string): "refused" | "failed";
export declare function newUploadId(nowMs?: number, random?: Uint8Array): string;
export declare function clientFor(options?: ServiceOptions): Client;
export declare function upload(file: Blob, options?: UploadOptions & ServiceOptions): Upload;
export declare function follow(id: string, options?: FollowOptions & ServiceOptions): Upload;
export declare function observe(listener: Listener, options?: ObserveOptions & ServiceOptions): () => void;
