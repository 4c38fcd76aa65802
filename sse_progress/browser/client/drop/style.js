/** How the drop area looks. Every color and size is a custom property that a page may set. */

export const STYLE = `
:host {
  color-scheme: light dark;
  --_background: var(--upload-drop-background, light-dark(#ffffff, #181b22));
  --_text: var(--upload-drop-text, light-dark(#161a23, #e9ecf2));
  --_muted: var(--upload-drop-muted, light-dark(#566073, #9aa3b5));
  --_line: var(--upload-drop-line, light-dark(#c5ccda, #3b4250));
  --_accent: var(--upload-drop-accent, light-dark(#3550f0, #8fa1ff));
  --_wash: var(--upload-drop-wash, light-dark(#eef1ff, #1c2238));
  --_warn: var(--upload-drop-warn, light-dark(#9a4a05, #f7b45c));
  --_radius: var(--upload-drop-radius, 18px);
  display: block; color: var(--_text);
  font: 15px/1.45 var(--upload-drop-font, Inter, ui-sans-serif, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif);
}
:host([hidden]), [hidden] { display: none !important; }
* { box-sizing: border-box; }
.area { padding: 28px 24px; border: 1.5px dashed var(--_line); border-radius: var(--_radius); background: var(--_background); text-align: center; transition: background-color 160ms, border-color 160ms; }
.area.over { border-style: solid; border-color: var(--_accent); background: var(--_wash); }
.lead { margin: 0; font-size: 18px; font-weight: 620; }
.hint { margin: 2px 0 16px; color: var(--_muted); }
.touch { display: none; }
@media (hover: none), (pointer: coarse) { .touch { display: inline; } .mouse { display: none; } }
.buttons { display: flex; flex-wrap: wrap; gap: 10px; justify-content: center; }
button { padding: 9px 18px; border: 1px solid var(--_line); border-radius: 12px; background: transparent; color: inherit; font: inherit; font-weight: 560; cursor: pointer; }
button:hover { background: var(--_wash); }
.primary { border-color: transparent; background: light-dark(#3550f0, #4a63f5); color: #fff; }
.primary:hover { background: light-dark(#2a43d8, #5c74ff); }
:focus-visible { outline: 2px solid var(--_accent); outline-offset: 3px; }
.refused { margin: 12px 0 0; padding: 0; list-style: none; color: var(--_warn); font-size: 14px; overflow-wrap: anywhere; }
.refused:empty { display: none; }
.staged { margin-top: 14px; }
.files { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 300px), 1fr)); gap: 10px; margin: 0 0 14px; padding: 0; list-style: none; }
.files li { display: grid; grid-template-columns: 64px minmax(0, 1fr) auto; gap: 4px 12px; align-items: center; padding: 10px; border: 1px solid var(--_line); border-radius: 14px; background: var(--_background); }
.preview { grid-row: span 2; width: 64px; height: 64px; border-radius: 10px; display: grid; place-items: center; overflow: hidden; background: var(--_wash); color: var(--_accent); font-size: 12px; font-weight: 700; }
.preview img, .preview video { width: 100%; height: 100%; object-fit: cover; display: block; }
.name { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; font-weight: 560; align-self: end; }
.size { align-self: start; grid-column: 2; color: var(--_muted); font-size: 13.5px; }
.remove { grid-column: 3; grid-row: 1 / span 2; padding: 6px; line-height: 0; border-color: transparent; }
.remove svg { width: 16px; height: 16px; fill: none; stroke: currentColor; stroke-width: 1.75; stroke-linecap: round; }
.fields { grid-column: 1 / -1; display: grid; gap: 6px; }
.fields label { display: grid; gap: 2px; font-size: 13.5px; color: var(--_muted); }
.fields input { min-width: 0; padding: 7px 10px; border: 1px solid light-dark(#8b94a6, #5b6374); border-radius: 9px; background: transparent; color: var(--_text); font: inherit; }
@media (prefers-reduced-motion: reduce) { * { transition: none !important; } }
@media (forced-colors: active) { button, .preview { border: 1px solid ButtonBorder; } }
`;
