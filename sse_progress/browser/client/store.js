/**
 * A client's uploads and its link as one immutable snapshot, for frameworks that compare by identity.
 * Knows no framework: `react.js` and `vue.js` are made from it.
 */

/**
 * @import { Client } from "./uploads/client.js"
 * @import { ClientSnapshot, UploadView } from "./store.js"
 */

/** @type {ClientSnapshot} */
export const EMPTY = Object.freeze({ uploads: Object.freeze([]), link: "idle" });

/** @type {WeakMap<Client, ReturnType<typeof makeStore>>} */
const stores = new WeakMap();

/**
 * The one store of `client`.
 * @param {Client} client
 */
export function storeOf(client) {
  const store = stores.get(client) ?? makeStore(client);
  stores.set(client, store);
  return store;
}

/** @param {Client} client */
function makeStore(client) {
  /** @type {ClientSnapshot | null} */
  let last = null;
  const stale = () => {
    last = null;
  };
  client.observe(stale);
  client.observeLink(stale);
  return {
    /**
     * The same object until something changes.
     * @returns {ClientSnapshot}
     */
    snapshot: () => (last ??= Object.freeze({ uploads: Object.freeze(views(client)), link: client.link })),
    /**
     * @param {() => void} listener
     * @returns {() => void}
     */
    subscribe: (listener) => {
      const stops = [client.observe(listener), client.observeLink(listener)];
      return () => {
        for (const stop of stops) stop();
      };
    },
  };
}

/**
 * @param {Client} client
 * @returns {UploadView[]}
 */
function views(client) {
  return [...client.uploads.values()].map((upload) => Object.freeze({ upload, state: upload.state }));
}
