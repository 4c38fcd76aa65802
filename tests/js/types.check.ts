/**
 * The published types against the code, by `tsc` in scripts/lint: each declared class, function and
 * text is what the module has, member by member, and the other way round.
 */

import type { Uppy } from "@uppy/core";
import type * as client from "../../sse_progress/browser/client/uploads/client.js";
import type * as decoder from "../../sse_progress/browser/client/follow/decoder.js";
import type * as errors from "../../sse_progress/browser/client/service/errors.js";
import type * as ids from "../../sse_progress/browser/client/service/ids.js";
import type * as types from "../../sse_progress/browser/client/index.js";
import type { PanelTexts } from "../../sse_progress/browser/client/panel.js";
import type * as stages from "../../sse_progress/browser/client/state/stages.js";
import type * as phases from "../../sse_progress/browser/client/state/phases.js";
import type { Texts } from "../../sse_progress/browser/client/text/texts.js";
import type * as upload from "../../sse_progress/browser/client/uploads/upload.js";
import type SseProgress from "../../sse_progress/browser/client/uppy.js";
import type { STAGE_TABLE } from "../../sse_progress/browser/client/service/wire.js";

/** Members by name, without the brand that `#private` fields give a class. */
type Members<T> = { [K in keyof T]: T[K] };
type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false;
type SameKeys<A, B> = Same<keyof A, keyof B>;
type Assignable<From, To> = [From] extends [To] ? true : false;

/** Compiles only for `true`. */
function holds<_Fact extends true>(): void {}

/** What only a Client calls on its uploads, and the declaration leaves out. */
type Internal = "become" | "relink";

holds<SameKeys<types.Client, client.Client>>();
holds<SameKeys<types.Upload, Omit<upload.Upload, Internal>>>();
holds<SameKeys<types.UploadError, errors.UploadError>>();
holds<SameKeys<types.Decoder, decoder.Decoder>>();

holds<
  Assignable<Members<Omit<client.Client, "uploads" | Calls>>, Members<Omit<types.Client, "uploads" | Calls>>>
>();
holds<
  Assignable<
    Members<Omit<upload.Upload, Internal | "observe" | "retry">>,
    Members<Omit<types.Upload, "observe" | "retry">>
  >
>();
holds<Same<Members<errors.UploadError>, Members<types.UploadError>>>();
holds<Same<Members<decoder.Decoder>, Members<types.Decoder>>>();

/** Methods that take or give an Upload: compared by their other parameters. */
type Calls = "upload" | "follow" | "observe";
type Options<F> = F extends (first: infer First, options?: infer O) => unknown
  ? [First, Members<NonNullable<O>>]
  : never;
type WithoutListener<T> = T extends [infer First, infer O] ? [First, Omit<O, "onEvent">] : never;
holds<
  Same<WithoutListener<Options<client.Client["upload"]>>, WithoutListener<Options<types.Client["upload"]>>>
>();
holds<
  Same<WithoutListener<Options<client.Client["follow"]>>, WithoutListener<Options<types.Client["follow"]>>>
>();
holds<SameKeys<client.UploadOptions, types.UploadOptions>>();
holds<SameKeys<client.FollowOptions, types.FollowOptions>>();

type ConstructorOptions<C> = C extends new (options?: infer O) => unknown ? NonNullable<O> : never;
holds<Same<ConstructorOptions<typeof client.Client>, Members<types.ClientOptions>>>();
holds<SameKeys<ConstructorOptions<typeof client.Client>, types.ClientOptions>>();
holds<
  Same<ConstructorParameters<typeof errors.UploadError>, ConstructorParameters<typeof types.UploadError>>
>();

holds<Same<typeof stages.STAGES, typeof types.STAGES>>();
holds<Same<(typeof STAGE_TABLE)[number]["name"], types.KnownStage>>();
holds<Assignable<typeof phases.hasEnded, typeof types.hasEnded>>();
holds<Same<typeof phases.phaseOfError, typeof types.phaseOfError>>();
holds<Assignable<typeof ids.newUploadId, typeof types.newUploadId>>();

holds<SameKeys<Texts, Required<PanelTexts>>>();

declare const uppy: Uppy;
declare const plugin: typeof SseProgress;
holds<Same<Uppy, ReturnType<typeof uppy.use<typeof plugin>>>>();
uppy.use(plugin, { url: "/", transport: "sse" });
