/** Hooks for React 18 and later: states without a component. They render nothing on a server. */

/**
 * @import { Client, ServiceOptions } from "./index.js"
 * @import { ClientSnapshot } from "./store.js"
 */

import { useCallback, useEffect, useSyncExternalStore } from "react";
import { clientFor } from "./index.js";
import { EMPTY, storeOf } from "./store.js";

const nothing = () => EMPTY;

/**
 * Every upload of the client for this service, and what its connection is doing. `client` takes one of
 * your own; `watch` takes in what other tabs and devices send, and what was sent before a reload.
 * @param {ServiceOptions & { client?: Client, watch?: boolean }} [options]
 * @returns {ClientSnapshot & { upload: Client["upload"], follow: Client["follow"] }}
 */
export function useUploads({ client: own, watch = false, url, token, credentials, caller, transport } = {}) {
  // A function, since on a server there is no address that a relative `url` could be relative to.
  const client = useCallback(
    () => own ?? clientFor({ url, token, credentials, caller, transport }),
    [own, url, token, credentials, caller, transport],
  );
  const subscribe = useCallback(
    (/** @type {() => void} */ listener) => storeOf(client()).subscribe(listener),
    [client],
  );
  const snapshot = useSyncExternalStore(subscribe, () => storeOf(client()).snapshot(), nothing);
  useEffect(() => (watch ? watching(client()) : undefined), [client, watch]);
  /** @type {Client["upload"]} */
  const upload = useCallback((...args) => client().upload(...args), [client]);
  /** @type {Client["follow"]} */
  const follow = useCallback((...args) => client().follow(...args), [client]);
  return { ...snapshot, upload, follow };
}

/**
 * @param {Client} client
 * @returns {() => void}
 */
function watching(client) {
  const stopped = client.watch();
  return () => void stopped.then((stop) => stop());
}
