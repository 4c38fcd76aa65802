/** A composable for Vue 3.3 and later: states without a component. It finds nothing on a server. */

/** @import { Client, ServiceOptions } from "./index.js" */

import { computed, onScopeDispose, shallowRef } from "vue";
import { clientFor } from "./index.js";
import { EMPTY, storeOf } from "./store.js";

/**
 * Every upload of the client for this service, and what its connection is doing, until the scope that
 * calls this is disposed of. See `useUploads` of React for the options.
 * @param {ServiceOptions & { client?: Client, watch?: boolean }} [options]
 */
export function useUploads({ client: own, watch = false, ...service } = {}) {
  const client = () => own ?? clientFor(service);
  const snapshot = shallowRef(EMPTY);
  if (own || globalThis.document) {
    const store = storeOf(client());
    const read = () => {
      snapshot.value = store.snapshot();
    };
    read();
    onScopeDispose(store.subscribe(read));
    if (watch) {
      const stopped = client().watch();
      onScopeDispose(() => void stopped.then((stop) => stop()));
    }
  }
  /** @type {Client["upload"]} */
  const upload = (...args) => client().upload(...args);
  /** @type {Client["follow"]} */
  const follow = (...args) => client().follow(...args);
  return {
    uploads: computed(() => snapshot.value.uploads),
    link: computed(() => snapshot.value.link),
    upload,
    follow,
  };
}
