/** How the panel looks. Every colour and size is a custom property that a page may set. */

export const STYLE = `
:host {
  color-scheme: light dark;
  --_background: var(--upload-panel-background, light-dark(#ffffff, #1b1d24));
  --_raised: var(--upload-panel-raised, light-dark(#f5f6f9, #23262f));
  --_text: var(--upload-panel-text, light-dark(#171a21, #eceef3));
  --_muted: var(--upload-panel-muted, light-dark(#596273, #a2aabb));
  --_line: var(--upload-panel-line, light-dark(#e4e7ee, #31353f));
  --_track: var(--upload-panel-track, light-dark(#e8ebf1, #333845));
  --_waiting: var(--upload-panel-waiting, light-dark(#a7b0c0, #6d7688));
  --_working: var(--upload-panel-working, light-dark(#3d5afe, #8296ff));
  --_done: var(--upload-panel-done, light-dark(#0f7a51, #4ccb98));
  --_refused: var(--upload-panel-refused, light-dark(#9a4a05, #f7b45c));
  --_failed: var(--upload-panel-failed, light-dark(#bf2634, #ff878c));
  --_radius: var(--upload-panel-radius, 16px);
  --_width: var(--upload-panel-width, 380px);
  --_gap: var(--upload-panel-gap, 20px);
  --_shadow: var(--upload-panel-shadow, 0 1px 2px rgb(15 20 40 / 8%), 0 16px 40px -8px rgb(15 20 40 / 22%));
  position: fixed;
  z-index: var(--upload-panel-z-index, 1000);
  inset: auto var(--_gap) var(--_gap) auto;
  width: min(var(--_width), calc(100vw - 2 * var(--_gap)));
  font: 14px/1.4 var(--upload-panel-font, Inter, ui-sans-serif, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif);
  color: var(--_text);
}
:host([position="bottom-left"]) { inset: auto auto var(--_gap) var(--_gap); }
:host([position="top-right"]) { inset: var(--_gap) var(--_gap) auto auto; }
:host([position="top-left"]) { inset: var(--_gap) auto auto var(--_gap); }
:host([hidden]), [hidden] { display: none !important; }

* { box-sizing: border-box; }
.panel {
  background: var(--_background);
  border: 1px solid var(--_line);
  border-radius: var(--_radius);
  box-shadow: var(--_shadow);
  overflow: hidden;
}
header { display: flex; align-items: center; gap: 2px; padding: 12px 10px 10px 18px; }
.headline { flex: 1; min-width: 0; margin: 0; font-size: 14px; font-weight: 650; letter-spacing: -0.005em; }
.headline small { display: block; font-size: 12.5px; font-weight: 450; color: var(--_muted); letter-spacing: 0; }
.whole { height: 3px; background: var(--_track); }
.whole i, .bar i {
  display: block; height: 100%; width: calc(var(--value, 0) * 1%); border-radius: inherit;
  background: var(--_color, var(--_working)); transition: width 240ms ease-out, background-color 200ms;
}
.link {
  margin: 0; padding: 8px 18px; font-size: 12.5px; color: var(--_text); background: var(--_raised);
  border-bottom: 1px solid var(--_line); display: flex; gap: 9px; align-items: center;
}
.link::before {
  content: ""; flex: none; width: 8px; height: 8px; border-radius: 50%;
  background: var(--_refused); animation: pulse 1.6s ease-in-out infinite;
}
ul { list-style: none; margin: 0; padding: 4px 0; max-height: min(46vh, 380px); overflow-y: auto; overscroll-behavior: contain; scrollbar-width: thin; }
li { padding: 10px 10px 12px 18px; }
li + li { border-top: 1px solid var(--_line); }
.panel[data-phase="done"] .whole { --_color: var(--_done); }
.panel[data-phase="refused"] .whole { --_color: var(--_refused); }
.panel[data-phase="failed"] .whole { --_color: var(--_failed); }
li[data-phase="waiting"] { --_color: var(--_waiting); }
li[data-phase="done"] { --_color: var(--_done); }
li[data-phase="refused"] { --_color: var(--_refused); }
li[data-phase="failed"] { --_color: var(--_failed); }
li[data-phase="cancelled"] { --_color: var(--_waiting); }
.row { display: flex; align-items: center; gap: 2px; min-height: 28px; }
.name { flex: 1; min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-weight: 550; }
.value { margin: 0 6px 0 10px; font-variant-numeric: tabular-nums; font-size: 13px; color: var(--_muted); }
li[data-phase="done"] .value { color: var(--_done); }
.bar { height: 5px; margin: 4px 8px 7px 0; border-radius: 3px; background: var(--_track); overflow: hidden; }
li[data-phase="working"] .bar i, li[data-phase="sending"] .bar i {
  background-image: linear-gradient(90deg, transparent 0, rgb(255 255 255 / 35%) 50%, transparent 100%);
  background-size: 90px 100%; background-repeat: no-repeat; animation: sheen 1.8s linear infinite;
}
.facts { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0 10px; margin: 0 8px 0 0; font-size: 12.5px; color: var(--_muted); }
.facts .stage { min-width: 0; overflow-wrap: anywhere; }
.facts .stage[data-tone] { color: var(--_color); font-weight: 550; }
.facts .numbers { flex: none; font-variant-numeric: tabular-nums; }
.words { margin: 3px 8px 0 0; font-size: 12.5px; color: var(--_text); overflow-wrap: anywhere; }
button {
  flex: none; display: grid; place-items: center; width: 28px; height: 28px; padding: 0; border: 0; border-radius: 8px;
  background: none; color: var(--_muted); cursor: pointer;
}
button:hover { background: var(--_raised); color: var(--_text); }
button:focus-visible { outline: 2px solid var(--_working); outline-offset: -2px; }
button[aria-disabled="true"] { opacity: 0.45; cursor: default; }
svg { width: 16px; height: 16px; fill: none; stroke: currentColor; stroke-width: 1.75; stroke-linecap: round; stroke-linejoin: round; }
.rest { margin: 0; padding: 8px 18px 12px; font-size: 12.5px; color: var(--_muted); }
.minimized ul, .minimized .link, .minimized .rest { display: none; }
.minimized .toggle svg { transform: rotate(180deg); }
/* Announced also where a page has the panel invisible. */
.spoken { visibility: visible; position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

@keyframes sheen { from { background-position: -90px 0; } to { background-position: calc(100% + 90px) 0; } }
@keyframes pulse { 50% { opacity: 0.3; } }
@media (max-width: 480px) { :host { --_gap: var(--upload-panel-gap, 12px); } }
@media (prefers-reduced-motion: reduce) { * { animation: none !important; transition: none !important; } }
@media (forced-colors: active) {
  .bar, .whole { border: 1px solid CanvasText; }
  .bar i, .whole i { background: Highlight; forced-color-adjust: none; }
  button { border: 1px solid ButtonBorder; }
}
`;
