/** Files from what was dropped or pasted, those in folders too. */

/** More files than anybody drops on purpose. */
const MOST = 10_000;

/** @param {DataTransfer | null} transfer */
export function hasFiles(transfer) {
  return [...(transfer?.types ?? [])].includes("Files");
}

/**
 * The files of a drop, folders walked through, at most 10,000; what cannot be read is left out.
 * @param {DataTransfer} transfer
 * @returns {Promise<File[]>}
 */
export async function filesOf(transfer) {
  // Entries are only there until the event is over: all are taken before the first is read.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.() ?? null);
  if (!entries.some((entry) => entry?.isDirectory)) return [...transfer.files];
  /** @type {File[]} */
  const found = [];
  for (const entry of entries) if (entry) await walk(entry, found);
  return found;
}

/**
 * @param {FileSystemEntry} entry
 * @param {File[]} found
 */
async function walk(entry, found) {
  if (found.length >= MOST) return;
  try {
    if (entry.isFile) found.push(await fileOf(/** @type {FileSystemFileEntry} */ (entry)));
    else await walkFolder(/** @type {FileSystemDirectoryEntry} */ (entry), found);
  } catch {
    // a file that is gone, or not this user's to read
  }
}

/**
 * @param {FileSystemDirectoryEntry} folder
 * @param {File[]} found
 */
async function walkFolder(folder, found) {
  const reader = folder.createReader();
  for (;;) {
    /** @type {FileSystemEntry[]} a hundred at a time */
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return;
    for (const entry of some) if (!entry.name.startsWith(".")) await walk(entry, found);
  }
}

/**
 * @param {FileSystemFileEntry} entry
 * @returns {Promise<File>}
 */
function fileOf(entry) {
  return new Promise((resolve, reject) => entry.file(resolve, reject));
}
