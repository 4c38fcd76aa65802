/** The hook for React as an app uses it, under Strict Mode; bundled and run by tests/browser/test_packages.py. */

import { StrictMode, createElement as h } from "react";
import { flushSync } from "react-dom";
import { createRoot } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { effectScope, render, h as vueH, watchEffect } from "vue";
import { clientFor } from "sse-progress-client";
import "sse-progress-client/drop";
import { useUploads } from "sse-progress-client/react";
import { useUploads as useVueUploads } from "sse-progress-client/vue";

function List(options) {
  const { uploads, upload } = useUploads(options);
  globalThis.uploadByReact = upload;
  return h("ul", {}, uploads.map(({ state }) => h("li", { key: state.id }, `${state.filename}: ${state.phase}`)));
}

export function onServer() {
  return renderToString(h(List, { url: "/api/media" }));
}

const optionsFor = (url) => ({ url, credentials: "include", caller: "anna", transport: "sse" });

/** Uploads of the shared client that has the same options as the hooks. */
export function known(url) {
  return clientFor(optionsFor(url)).uploads.size;
}

export function inBrowser(url) {
  const options = optionsFor(url);
  const box = document.body.appendChild(document.createElement("div"));
  box.id = "react";
  const root = createRoot(box);
  root.render(h(StrictMode, {}, h(List, options)));
  const other = document.body.appendChild(document.createElement("p"));
  other.id = "vue";
  const scope = effectScope();
  scope.run(() => {
    const { uploads } = useVueUploads(options);
    watchEffect(() => {
      other.textContent = uploads.value.map(({ state }) => `${state.filename}: ${state.phase}`).join();
    }, { flush: "sync" });
  });
  return () => (root.unmount(), scope.stop());
}

/** What `<upload-drop>` has of React's props, and of Vue's: an attribute, a property, and an event that it sends. */
export function elements(url) {
  const given = { url, staged: true, fields: [{ name: "title" }] };
  const heard = [];
  const hear = ({ detail }) => heard.push(detail);
  const boxes = [0, 1].map(() => document.body.appendChild(document.createElement("div")));
  const root = createRoot(boxes[0]);
  flushSync(() => root.render(h("upload-drop", { ...given, onuploads: hear })));
  render(vueH("upload-drop", { ...given, onUploads: hear }), boxes[1]);
  const found = boxes.map(({ firstElementChild: drop }) => {
    drop.dispatchEvent(new CustomEvent("uploads", { detail: "sent" }));
    return [drop.hasAttribute("staged"), drop.fields[0]?.name, heard.pop()];
  });
  root.unmount();
  render(null, boxes[1]);
  return found;
}
