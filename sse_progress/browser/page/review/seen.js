/** What a reviewer sees of a file: the picture, the video with some of its frames, the sound, the text. */

/**
 * @import { Service } from "../../client/service/service.js"
 * @import { Review } from "./desk.js"
 */

import { element } from "../dom.js";
import { words } from "./words.js";
import { lang, say } from "../speech.js";

const TEXT_BYTES = 64 * 1024;
const FRAMES = 6;
const seconds = new Intl.NumberFormat(lang, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
/** With a token a file has to be fetched as a whole before it can be shown. */
const FETCHED_BYTES = 200 * 1024 ** 2;

/**
 * The elements that show `review`, and a function that frees what they hold.
 * @param {Review} review
 * @param {Service} service
 * @returns {Promise<{ shown: HTMLElement[], free: () => void }>}
 */
export async function seen(review, service) {
  const type = review.contentType ?? "";
  const [family] = type.split("/");
  if (family === "text" || /[/+](json|xml)$/.test(type))
    return { shown: [await text(review, service)], free: nothing };
  const show = SHOWN[family];
  if (!show) return { shown: [note(words.notShown, review, service)], free: nothing };
  const source = await sourceOf(review, service);
  if (!source) return { shown: [note(words.cannotShow, review, service)], free: nothing };
  const free = () => URL.revokeObjectURL(source);
  return { shown: show(source, () => note(words.cannotPlay, review, service)), free };
}

function nothing() {}

/** @type {Record<string, (source: string, otherwise: () => HTMLElement) => HTMLElement[]>} */
const SHOWN = {
  image: (source, otherwise) => {
    const image = element("img", { src: source, alt: words.picture });
    image.onerror = () => image.replaceWith(otherwise());
    return [image];
  },
  video: (source, otherwise) => {
    const video = element("video", { src: source, controls: true, muted: true, preload: "metadata" });
    video.ariaLabel = words.video;
    const strip = element("ol", { className: "frames", ariaLabel: words.frames });
    video.onerror = () => (strip.remove(), video.replaceWith(otherwise()));
    void drawFrames(source, strip);
    return [video, strip];
  },
  audio: (source, otherwise) => {
    const audio = element("audio", { src: source, controls: true });
    audio.ariaLabel = words.sound;
    audio.onerror = () => audio.replaceWith(otherwise());
    return [audio];
  },
};

/**
 * Frames from evenly spaced moments, each as soon as it is decoded; a video that cannot be read has none.
 * @param {string} source
 * @param {HTMLElement} strip
 */
async function drawFrames(source, strip) {
  const video = element("video", { src: source, muted: true, preload: "auto" });
  try {
    await happens(video, "loadeddata");
    for (let at = 0; at < FRAMES; at += 1) {
      video.currentTime = ((at + 0.5) / FRAMES) * video.duration;
      await happens(video, "seeked");
      const frame = element("canvas", {
        width: 220,
        height: Math.round((220 * video.videoHeight) / video.videoWidth),
      });
      frame.getContext("2d")?.drawImage(video, 0, 0, frame.width, frame.height);
      const moment = say(words.moment, { seconds: seconds.format(video.currentTime) });
      frame.role = "img";
      frame.ariaLabel = frame.title = moment;
      strip.append(element("li", {}, [frame]));
    }
  } catch {
    strip.remove();
  } finally {
    video.removeAttribute("src");
    video.load();
  }
}

/**
 * @param {HTMLVideoElement} video
 * @param {string} type
 */
function happens(video, type) {
  return new Promise((resolve, reject) => {
    video.addEventListener(type, resolve, { once: true });
    video.addEventListener("error", reject, { once: true });
  });
}

/**
 * @param {Review} review
 * @param {Service} service
 */
async function text(review, service) {
  const headers = await service.headers({ Range: `bytes=0-${TEXT_BYTES - 1}` });
  const response = await fetch(addressOf(review, service), { headers }).catch(() => null);
  if (!response?.ok) return note(words.cannotShow, review, service);
  const said = new TextDecoder().decode((await response.arrayBuffer()).slice(0, TEXT_BYTES));
  const more = (review.size ?? 0) > TEXT_BYTES ? "\n…" : "";
  return element("pre", {
    textContent: said + more,
    tabIndex: 0,
    ariaLabel: words.text,
    role: "region",
  });
}

/**
 * Where elements may get the file from: its address where cookies do, else what was fetched.
 * @param {Review} review
 * @param {Service} service
 */
async function sourceOf(review, service) {
  const address = addressOf(review, service);
  if (!service.hasToken) return address;
  if ((review.size ?? 0) > FETCHED_BYTES) return null;
  const response = await fetch(address, { headers: await service.headers() }).catch(() => null);
  return response?.ok ? URL.createObjectURL(await response.blob()) : null;
}

/**
 * A sentence, and where no token is needed for it, the file itself.
 * @param {string} sentence
 * @param {Review} review
 * @param {Service} service
 */
function note(sentence, review, service) {
  const link = element("a", { href: addressOf(review, service), textContent: words.download });
  return element("p", {}, service.hasToken ? [sentence] : [`${sentence} `, link]);
}

/**
 * @param {Review} review
 * @param {Service} service
 */
function addressOf(review, service) {
  return new URL(review.url, service.root).href;
}
