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
  /**
   * Whether this page pauses what it sends itself; null: it is not sent from here. What is still on its way when it
   * is paused arrives later, so the service's own word lags behind this.
   */
  readonly held: boolean | null;
  /** It is sent from here, and the network is away: it goes on by itself. */
  readonly away: boolean;
  /** `review` while a person decides. */
  readonly waiting: string | null;
  /** Its place in the queue from 1, while it waits for a worker and a heartbeat has told it; about. */
  readonly queuePosition: number | null;
  /** When its turn comes, about; null while there is no basis for it. */
  readonly startsInSeconds: number | null;
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

/**
 * One upload as its user holds it: a state to read, listeners to add, and what can be done with
 * it. A Client makes it.
 */
export declare class Upload {
  private constructor();
  /** Its name, on the service too. */
  readonly id: string;
  /** What is sent from here; null for an upload that is only followed. */
  readonly file: Blob | null;
  /** All that is known of it; a new object after each change. */
  readonly state: UploadState;
  /** What the connection that brings its news is doing. */
  readonly link: Link;
  /** When this object was made, in milliseconds since 1970. */
  readonly createdAt: number;
  /** Whether nothing more can happen to it. */
  readonly ended: boolean;
  /** Whether it failed or was cancelled, and its file is at hand. */
  readonly canRetry: boolean;
  /** Resolves when the upload is complete; rejects with UploadError however else it ends. */
  readonly done: Promise<Media>;
  /** Call back after each change; the function that is returned ends it, and so does `signal`. */
  observe(listener: Listener, options?: ObserveOptions): () => void;
  /**
   * Ask the service to cancel it. Resolves once that is certain, also for one that has ended before;
   * rejects with UploadError, `network` if the service could not be asked.
   */
  cancel(): Promise<void>;
  /** Whether it can be paused, or is, by this page: it is being sent from here in parts. */
  readonly canPause: boolean;
  /** Whether this browser has begun it, and the same file, chosen again, goes on where it was. */
  readonly canGoOn: boolean;
  /** Stop sending, and keep what has arrived. */
  pause(): void;
  /** Go on where it was. */
  resume(): void;
  /**
   * Send the same file again, as a new upload under a new id. Throws UploadError `no_file` where
   * there is no file.
   */
  retry(): Upload;
  /** Read the journal, so that `state.passed` is whole; resolves to whether there was one to read. */
  readHistory(): Promise<boolean>;
  /** Stop following it, without touching the upload itself; its body is given up. */
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

/** Many uploads as one: followed to its end, closed and cancelled. A Client makes it. */
export declare class Batch {
  private constructor();
  /** Its name, on the service too: the option `batch` of uploads that join it. */
  readonly id: string;
  /** How far it is; a new object after each change. */
  readonly state: BatchState;
  /** Resolves to the last state, whatever its items came to. */
  readonly done: Promise<BatchState>;
  /** Call back after each change; the function that is returned ends it, and so does `signal`. */
  observe(listener: (batch: Batch) => void, options?: ObserveOptions): () => void;
  /** No more items join: it ends with the last of them. Rejects with UploadError. */
  close(): Promise<void>;
  /** Cancel what is open of it. Rejects with UploadError. */
  cancel(): Promise<void>;
  /** Stop following it. */
  forget(): void;
}

/** All uploads of one service and one caller, with a life of its own. */
export declare class Client {
  /** Throws UploadError `unsupported` for `transport: "ws"` where there is no WebSocket. */
  constructor(options?: ClientOptions);
  /** The service's root, absolute, with a slash at its end. */
  readonly url: string;
  /** What its connections are doing, the worst first. */
  readonly link: Link;
  /** Whether requests carry a token; without one the browser's cookies have to do. */
  readonly hasToken: boolean;
  /** Every upload that is known here, by id, in the order in which it became known. */
  readonly uploads: ReadonlyMap<string, Upload>;
  /** New credentials: what was refused for the old ones is tried again. */
  set token(token: ServiceOptions["token"]);
  /** The headers of this moment, for requests of your own such as one for a thumbnail. */
  headers(): Promise<Record<string, string>>;
  /**
   * Send a file. The Upload is there at once, before any answer. Throws UploadError
   * `upload_id_in_use` for an `id` that is known here.
   */
  upload(file: Blob, options?: UploadOptions): Upload;
  /** Follow an upload that is sent from elsewhere, also before it begins. `signal` ends that. */
  follow(id: string, options?: FollowOptions): Upload;
  /** What the service accepts of a kind. */
  rules(kind?: string): Promise<Rules>;
  /** Make a batch, which uploads join by the option `batch`. Rejects with UploadError. */
  createBatch(options?: BatchOptions): Promise<Batch>;
  /** Follow a batch that was made elsewhere. */
  followBatch(id: string): Batch;
  /**
   * Follow everything of this caller's, from other tabs and devices too. Resolves to a function that
   * ends it, once the newest `limit` (20) uploads are known, or the service could not be asked.
   */
  watch(options?: { limit?: number }): Promise<() => void>;
  /** Take in a part of the list of uploads, also of long ago; null if the service cannot be asked. */
  readList(options?: {
    limit?: number;
    after?: string | null;
  }): Promise<{ ids: string[]; next: string | null } | null>;
  /**
   * Call back after each change of any upload; the function that is returned ends it, and so does
   * `signal`.
   */
  observe(listener: Listener, options?: ObserveOptions): () => void;
  /** Call back when `link` changes. */
  observeLink(listener: (link: Link) => void, options?: ObserveOptions): () => void;
  /** Close every stream and give up every body. The client is of no use afterwards. */
  close(): void;
}

/** The one error with which promises of this module reject. */
export declare class UploadError extends Error {
  /** Made by the module. */
  constructor(failure: Partial<UploadFailure> & { code: string; status?: number });
  /**
   * Stable: one of the service's codes, `network` if it could not be reached, or one that a function
   * here names.
   */
  readonly code: string;
  /** One sentence for a person; may be empty. */
  readonly detail: string;
  /** Where it happened, if that was in a stage. */
  readonly stage: StageName | null;
  /** The HTTP status, or 0. */
  readonly status: number;
}

/** Takes an event stream apart, for readers of your own. */
export declare class Decoder {
  /** The id of the last whole event that had one, else empty. */
  readonly lastEventId: string;
  /** What the stream last said in `retry`, in milliseconds. */
  readonly retryMs: number | null;
  /** The events that are whole with this piece of text. */
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

/** The service's stages in their order. */
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
/** Whether an upload in this state cannot change any more. */
export declare function hasEnded(state: UploadState): boolean;
/**
 * Whether an error with this code is a judgement of the file (`refused`), or sending it again may
 * help (`failed`).
 */
export declare function phaseOfError(code: string): "refused" | "failed";
/**
 * An id for a new upload: `upload_` and a UUIDv7, which sorts by time. The time and 10 random
 * bytes can be given, for tests.
 */
export declare function newUploadId(nowMs?: number, random?: Uint8Array): string;
/**
 * The one client for this service, which everybody on the page shares. A `token` that is given
 * replaces an older one.
 */
export declare function clientFor(options?: ServiceOptions): Client;
/** Send a file by the shared client; see `Client.upload`. */
export declare function upload(file: Blob, options?: UploadOptions & ServiceOptions): Upload;
/** Follow an upload by the shared client; see `Client.follow`. */
export declare function follow(id: string, options?: FollowOptions & ServiceOptions): Upload;
/** Hear of every upload of the shared client; see `Client.observe`. */
export declare function observe(listener: Listener, options?: ObserveOptions & ServiceOptions): () => void;
