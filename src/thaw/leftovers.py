"""What systems, network drives, viewers, editors and downloads leave in folders of pictures: the one list of their names.

Names are those that the programs document, or that public lists keep: github.com/github/gitignore (Global/macOS, Windows,
Linux, Dropbox), the exclude lists of Nextcloud's and Synology Drive's clients, and the manuals of the programs named here.
"""

import re
from functools import lru_cache
from posixpath import splitext

# fmt: off
_NAMES = {
    "macOS": (
        ".ds_store", "__macosx", ".appledouble", ".appledb", ".appledesktop", ".spotlight-v100", ".fseventsd", ".trashes",
        ".trash", ".temporaryitems", "temporary items", "network trash folder", "thevolumesettingsfolder",
        ".documentrevisions-v100", ".volumeicon.icns", ".apdisk", ".localized", ".lsoverride", "icon\r", ":2eds_store",
    ),
    "Windows": (
        "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "$recycle.bin", "system volume information",
        "found.000",
    ),
    "Linux": ("lost+found", ".directory", ".thumbnails", ".xvpics", ".trash-1000", ".comments"),
    "a Synology drive": ("@eadir", "#recycle", "#snapshot", "@tmp", "@sharebin", ".synologyworkingdirectory"),
    "a QNAP drive": ("@recycle", ".@__thumb", ".@upload_cache", "@recently-snapshot", ".@analytic", ".streams"),
    "a network drive": (".recycle", ".wdmc", ".snapshot", ".zfs"),
    "Dropbox": (".dropbox", ".dropbox.attr", ".dropbox.cache"),
    "Google Drive": (".tmp.drivedownload", ".tmp.driveupload"),
    "Syncthing": (".stfolder", ".stversions", ".stignore"),
    "Nextcloud": (".owncloudsync.log", ".nextcloudsync.log", ".sync-exclude.lst"),
    "Resilio Sync": (".sync", ".syncid", ".syncignore"),
    "Picasa": ("picasa.ini", ".picasa.ini", ".picasaoriginals"),
    "Zoner": ("zbthumbnail.info",),
    "Paint Shop Pro": ("pspbrwse.jbf",),
    "Adobe Bridge": (".bridgesort", ".bridgecache", ".bridgecachet", ".bridgelabelsandratings"),
    "ACDSee": ("descript.ion",),
    "Android": (".nomedia",),
    "Jupyter": (".ipynb_checkpoints",),
    "Python": ("__pycache__",),
    "a version control system": ("cvs", ".git", ".svn", ".hg"),
}
_SUFFIXES = {
    "Google Drive, which keeps a link in it": (
        ".gdoc", ".gsheet", ".gslides", ".gdraw", ".gform", ".gmap", ".gsite", ".gtable", ".glink", ".gjam",
        ".gscript", ".gdrive",
    ),
    "iCloud, which has not downloaded it": (".icloud",),
    "a download that did not end": (
        ".crdownload", ".part", ".partial", ".download", ".opdownload", ".filepart", ".aria2", ".ytdl", ".xltd", ".!ut", ".!qb",
        ".!sync", ".bc!", ".jc!",
    ),
    "a program that did not end": (".tmp", ".temp", ".lock", *(f".sw{letter}" for letter in "abcdefghijklmnop")),
    "an editor, as a backup copy": (".bak", ".orig"),
    "Python": (".pyc",),
    "a camera, as the preview of a video": (".thm",),
    "a camera, as its catalogue": (".ctg",),
}
_PREFIXES = {
    "~$": "an office program that had a file open",
    ".~lock.": "an office program that had a file open",
    "~syncthing~": "Syncthing",
    ".syncthing.": "Syncthing",
    "synctoy_": "SyncToy",
    ".nfs": "an NFS server, of a file that was deleted while it was open",
    ".fuse_hidden": "a mounted disk, of a file that was deleted while it was open",
    ".trash-": "Linux",
    "._": "macOS, beside a file on a disk of another system",
    "@syno": "a Synology drive",
}
# fmt: on
_BY_NAME = {name: who for who, names in _NAMES.items() for name in names}
_BY_SUFFIX = {suffix: who for who, suffixes in _SUFFIXES.items() for suffix in suffixes}
_STARTS = tuple(_PREFIXES)
_STREAM = re.compile(
    r"[:\uf03a](zone\.identifier|encryptable|afp_\w+|com\.\w+[\w.]*|\$data)(:\$data)?$|@syno(eastream|resource)$"
)
"""A stream beside a file of NTFS, that a disk without streams keeps as a file of its own."""
_BACKUP = re.compile(r"(.+?)(~|\.bak|\.orig|_original)", re.IGNORECASE | re.DOTALL)
"""GNU's and GIMP's, editors', patch's, and ExifTool's."""
_COPY = re.compile(
    r"""(.+?)
    (?: \s?\(\d+\)                                                    # browsers, Windows, Google Drive
    |   \ -\ copy(?:\ \(\d+\))? | \ copy(?:\ \d+)? | \ \(copy(?:\ \d+)?\)   # Windows, macOS, GNOME
    |   \ \([^()]*(?:conflicted\ copy|conflict|sfconflict)[^()]*\)    # Dropbox, Nextcloud, Seafile
    |   \.sync-conflict-\d{8}-\d{6}-\w+                               # Syncthing
    |   _(?:\w+_)?(?:[a-z]{3}-\d\d-\d+-\d{4}_)?conflict(?:-\d{8}-\d{6})?   # Synology Drive, ownCloud
    )""",
    re.IGNORECASE | re.VERBOSE,
)
_COPY_OF = re.compile(r"copy (?:\(\d+\) )?of (.+)", re.IGNORECASE)


@lru_cache(maxsize=4096)  # folders come again and again
def left_by(name: str) -> str:
    """Who leaves files or folders of this name (a path's last part); empty where it is no leftover."""
    folded = name.casefold()
    if (who := _BY_NAME.get(folded)) or (who := _BY_SUFFIX.get(splitext(folded)[1])):
        return who
    if folded.startswith(_STARTS):
        return next(who for start, who in _PREFIXES.items() if folded.startswith(start))
    if folded.endswith("~") or (folded[:1] == "#" and folded[-1:] == "#"):
        return "an editor, as a backup copy"
    if folded.endswith("_original") and splitext(folded)[1]:
        return "ExifTool, as a backup copy"
    if (":" in folded or "\uf03a" in folded or "@syno" in folded) and _STREAM.search(folded):
        return "Windows or a network drive, beside a file"
    return ""


def backup_of(name: str) -> str:
    """The name of the file that one of this name is a backup copy of (`photo.jpg~`, `photo.jpg_original`); else empty."""
    found = _BACKUP.fullmatch(name)
    return found[1] if found else ""


def awaited_from_icloud(name: str) -> str:
    """The name of the file that one of this name stands for until iCloud downloads it (`.photo.jpg.icloud`); else empty."""
    return name[:-7].removeprefix(".") if name.casefold().endswith(".icloud") else ""


def copy_of(name: str) -> str:
    """The name of the file that one of this name is a copy of, by its name (`1 (1).jpg`, `1 - Copy.jpg`); else empty."""
    stem, suffix = splitext(name)
    if found := _COPY.fullmatch(stem):
        return found[1] + suffix
    found = _COPY_OF.fullmatch(name)
    return found[1] if found else ""
