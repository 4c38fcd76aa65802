"""What the commands say of their own, in German, Spanish and French.

What the service says of an upload has its translations in the browser's locale files, which
`locales.json` is made from.
"""

from __future__ import annotations

from typing import Final

__all__ = ["LANGUAGES", "SENTENCES"]

LANGUAGES: Final = ("de", "es", "fr")

SENTENCES: Final[dict[str, tuple[str, str, str]]] = {
    # ---- the display
    "connecting": ("verbindet", "conectando", "connexion"),
    "reconnecting": ("verbindet neu", "reconectando", "reconnexion"),
    "polling": ("fragt nach", "consultando", "interrogation"),
    "complete": ("fertig", "listo", "terminé"),
    "failed": ("fehlgeschlagen", "con error", "échec"),
    "all files": ("alle Dateien", "todos", "tous"),
    "{done} of {total}": ("{done} von {total}", "{done} de {total}", "{done} sur {total}"),
    "{count} failed": (
        "{count} fehlgeschlagen",
        "{count} con error",
        "{count} en échec",
    ),
    "{stage} is done": ("{stage}: fertig", "{stage}: listo", "{stage} : terminé"),
    # ---- the queue
    "waiting": ("wartet", "en espera", "en attente"),
    "next in line": ("als Nächstes dran", "el siguiente", "le prochain"),
    "{place} in line": ("an {place} Stelle", "{place} en cola", "{place} de la file"),
    "about {time}": ("etwa {time}", "aprox. {time}", "environ {time}"),
    "{count} min": ("{count} Min.", "{count} min", "{count} min"),
    "{count} h": ("{count} Std.", "{count} h", "{count} h"),
    "under a minute": ("unter 1 Min.", "menos de 1 min", "moins d’1 min"),
    "no estimate": ("Dauer offen", "sin estimación", "durée inconnue"),
    # ---- the list: how far an upload is
    "pending": ("steht aus", "pendiente", "en attente"),
    "receiving": ("kommt an", "llegando", "en réception"),
    "processing": ("in Arbeit", "en proceso", "en cours"),
    "error": ("fehlgeschlagen", "con error", "échec"),
    # ---- ends
    "image": ("Bild", "imagen", "image"),
    "video": ("Video", "vídeo", "vidéo"),
    "audio": ("Audio", "audio", "audio"),
    "text": ("Text", "texto", "texte"),
    "approved": ("freigegeben", "aprobado", "approuvé"),
    "review": ("zum Ansehen vorgemerkt", "por revisar", "à examiner"),
    "not checked: {what}": (
        "nicht geprüft: {what}",
        "sin comprobar: {what}",
        "non vérifié : {what}",
    ),
    "left": ("verlassen", "abandonado", "abandonné"),
    "not sent": ("nicht gesendet", "no enviado", "non envoyé"),
    "cannot be read: {why}": (
        "nicht lesbar: {why}",
        "no se puede leer: {why}",
        "illisible : {why}",
    ),
    "cancelled": ("abgebrochen", "cancelado", "annulé"),
    "deleted": ("gelöscht", "borrado", "supprimé"),
    "{done} of {total} deleted": (
        "{done} von {total} gelöscht",
        "{done} de {total} borrados",
        "{done} sur {total} supprimés",
    ),
    "no longer watched; the upload goes on": (
        "wird nicht mehr beobachtet; das Hochladen geht weiter",
        "ya no se observa; la subida continúa",
        "n’est plus suivi ; l’envoi continue",
    ),
    "ended; its journal has expired": (
        "beendet; seine Aufzeichnung ist abgelaufen",
        "terminado; su registro ha caducado",
        "terminé ; son journal a expiré",
    ),
    # ---- remarks
    "This upload has not begun: waiting for it. Ctrl-C leaves.": (
        "Dieses Hochladen hat noch nicht begonnen: Es wird gewartet. Strg-C beendet das.",
        "Esta subida no ha empezado: se espera. Ctrl-C sale.",
        "Cet envoi n’a pas commencé : attente. Ctrl-C quitte.",
    ),
    "Paused. Go on with the same file and --resume --id {id}": (
        "Angehalten. Weiter mit derselben Datei und --resume --id {id}",
        "En pausa. Se continúa con el mismo archivo y --resume --id {id}",
        "En pause. On continue avec le même fichier et --resume --id {id}",
    ),
    "Cancelling on the service. Ctrl-C again leaves at once.": (
        "Wird beim Dienst abgebrochen. Noch einmal Strg-C beendet sofort.",
        "Cancelando en el servicio. Ctrl-C otra vez sale en el acto.",
        "Annulation auprès du service. Ctrl-C encore quitte aussitôt.",
    ),
    # ---- what went wrong, and what to do
    "cannot reach {url}: {reason}": (
        "{url} ist nicht erreichbar: {reason}",
        "no se puede alcanzar {url}: {reason}",
        "{url} est injoignable : {reason}",
    ),
    "{url} answered {status}: {reason}": (
        "{url} hat {status} geantwortet: {reason}",
        "{url} respondió {status}: {reason}",
        "{url} a répondu {status} : {reason}",
    ),
    "{name} ended after {read} bytes, expected {expected}": (
        "{name} endete nach {read} Bytes, erwartet waren {expected}",
        "{name} terminó tras {read} bytes, se esperaban {expected}",
        "{name} s’est terminé après {read} octets, {expected} attendus",
    ),
    "Is the service running? `sse-progress serve` starts one, --url names another.": (
        "Läuft der Dienst? `sse-progress serve` startet einen, --url nennt einen anderen.",
        "¿Está en marcha el servicio? `sse-progress serve` inicia uno, --url nombra otro.",
        "Le service tourne-t-il ? `sse-progress serve` en démarre un, --url en nomme un autre.",
    ),
    "Is that the address of the service, with its prefix? --url names another.": (
        "Ist das die Adresse des Dienstes, mit ihrem Präfix? --url nennt eine andere.",
        "¿Es esa la dirección del servicio, con su prefijo? --url nombra otra.",
        "Est-ce l’adresse du service, avec son préfixe ? --url en nomme une autre.",
    ),
    "Is the address right, with its prefix? --url names another.": (
        "Stimmt die Adresse, mit ihrem Präfix? --url nennt eine andere.",
        "¿Es correcta la dirección, con su prefijo? --url nombra otra.",
        "L’adresse est-elle juste, avec son préfixe ? --url en nomme une autre.",
    ),
    "Give a valid token in {variable} or --token.": (
        "Bitte ein gültiges Token angeben, in {variable} oder mit --token.",
        "Indique un token válido en {variable} o con --token.",
        "Donnez un jeton valide dans {variable} ou avec --token.",
    ),
    "It belongs to another user, or the token lacks the scope.": (
        "Es gehört jemand anderem, oder dem Token fehlt die Berechtigung.",
        "Es de otra persona, o al token le falta el permiso.",
        "Il appartient à quelqu’un d’autre, ou le jeton n’en a pas le droit.",
    ),
    "Choose another --id, or none.": (
        "Bitte eine andere --id wählen, oder keine.",
        "Elija otra --id, o ninguna.",
        "Choisissez une autre --id, ou aucune.",
    ),
    "Try again in {seconds} s.": (
        "Noch einmal versuchen in {seconds} s.",
        "Inténtelo de nuevo en {seconds} s.",
        "Réessayez dans {seconds} s.",
    ),
    # ---- wrong use
    "Name at least one file.": (
        "Bitte mindestens eine Datei nennen.",
        "Indique al menos un archivo.",
        "Nommez au moins un fichier.",
    ),
    "Name either uploads, or a --batch.": (
        "Bitte entweder Ids nennen oder einen --batch.",
        "Indique ids o un --batch.",
        "Nommez soit des ids, soit un --batch.",
    ),
    "--id names one upload, and these are {count} files.": (
        "--id benennt ein einziges Hochladen, und dies sind {count} Dateien.",
        "--id nombra una sola subida, y estos son {count} archivos.",
        "--id nomme un seul envoi, et voici {count} fichiers.",
    ),
    "{file} is a directory: name the files in it.": (
        "{file} ist ein Verzeichnis: bitte die Dateien darin nennen.",
        "{file} es un directorio: indique los archivos que contiene.",
        "{file} est un dossier : nommez les fichiers qu’il contient.",
    ),
    "No such file: {file}": (
        "Diese Datei gibt es nicht: {file}",
        "No existe el archivo: {file}",
        "Fichier introuvable : {file}",
    ),
    "{file} cannot be read: permission denied.": (
        "{file} ist nicht lesbar: keine Berechtigung.",
        "No se puede leer {file}: permiso denegado.",
        "{file} est illisible : permission refusée.",
    ),
    "--resume goes on with one upload, so not with a --batch.": (
        "--resume setzt ein einziges Hochladen fort, also keinen --batch.",
        "--resume continúa una sola subida, no un --batch.",
        "--resume reprend un seul envoi, pas un --batch.",
    ),
    "Standard input cannot be resumed.": (
        "Die Standardeingabe lässt sich nicht fortsetzen.",
        "La entrada estándar no se puede continuar.",
        "L’entrée standard ne peut pas être reprise.",
    ),
    "{id} is not a valid upload id: {pattern}.": (
        "{id} ist keine gültige Id: {pattern}.",
        "{id} no es un id válido: {pattern}.",
        "{id} n’est pas un id valide : {pattern}.",
    ),
}
