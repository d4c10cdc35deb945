package rtf

// target says what a destination's words are.
type target uint8

const (
	inline  target = iota + 1 // they stand where they are shown
	aside                     // shown elsewhere, or to those who look: a line of their own
	through                   // none of its own; destinations in it may hold some
	skip                      // no words for anybody
	fonts                     // the font table
	picture                   // a picture's bytes
	object                    // an object's bytes
	choice                    // \upr: the same in two character sets
	second                    // \ud: the second of them
	htmlTag                   // HTML that Outlook wrapped
)

// destinations are the control words that begin a group of another meaning. A
// word that is not listed leaves the group's text where it is; with \* before
// it, sets it aside.
var destinations = map[string]target{
	"fonttbl": fonts,

	"colortbl": skip, "stylesheet": skip, "filetbl": skip, "rsidtbl": skip, "levelnumbers": skip, "listname": skip, "liststylename": skip,
	"latentstyles": skip, "themedata": skip, "colorschememapping": skip, "datastore": skip, "mmathPr": skip, "wgrffmtfilter": skip,
	"xmlnstbl": skip, "panose": skip, "blipuid": skip, "bliptag": skip, "fontemb": skip, "fontfile": skip, "passwordhash": skip, "pgptbl": skip,
	"oldcprops": skip, "oldpprops": skip, "oldtprops": skip, "oldsprops": skip, "gridtbl": skip, "datafield": skip, "keycode": skip,
	"nonesttables": skip, "pnseclvl": skip, "listpicture": skip, "objsect": skip, "objtime": skip, "atrfstart": skip, "atrfend": skip,
	"atndate": skip, "creatim": skip, "revtim": skip, "printim": skip, "buptim": skip, "mhtmltag": skip, "nonshppict": skip,
	"defchp": skip, "defpap": skip, "ilfomacatclnup": skip, "liststyle": skip, "svb": skip, "protusertbl": skip, "generator": skip,

	"info": through, "userprops": through, "shp": through, "shpinst": through, "shpgrp": through, "shpgrpinst": through, "do": through,
	"sp": through, "listtable": through, "listoverridetable": through, "picprop": through, "background": through, "formfield": through, "nesttableprops": through, "object": through,
	"docvar": aside, "title": aside, "subject": aside, "author": aside, "manager": aside, "company": aside, "operator": aside,
	"category": aside, "keywords": aside, "comment": aside, "doccomm": aside, "hlinkbase": aside, "propname": aside, "staticval": aside,
	"linkval": aside, "header": aside, "headerl": aside, "headerr": aside, "headerf": aside, "footer": aside, "footerl": aside,
	"footerr": aside, "footerf": aside, "footnote": aside, "annotation": aside, "atnid": aside, "atnauthor": aside, "ftnsep": aside,
	"ftnsepc": aside, "ftncn": aside, "aftnsep": aside, "aftnsepc": aside, "aftncn": aside, "fldinst": aside, "shptxt": aside,
	"dptxbxtext": aside, "shprslt": aside, "sn": aside, "sv": aside, "ffname": aside, "ffdeftext": aside, "ffl": aside,
	"ffhelptext": aside, "ffstattext": aside, "ffformat": skip, "ffentrymcr": aside, "ffexitmcr": aside, "xe": aside, "tc": aside,
	"rxe": aside, "txe": aside, "bkmkstart": aside, "bkmkend": skip, "revtbl": aside, "objclass": aside, "objname": aside,
	"objalias": aside, "template": aside, "leveltext": aside, "pn": aside, "pntxta": aside, "pntxtb": aside, "hl": aside, "hlfr": aside, "hlloc": aside, "hlsrc": aside,

	"rtf": inline, "fldrslt": inline, "field": inline, "result": inline, "listtext": inline, "pntext": inline, "shppict": inline,
	"moMath": inline, "moMathPara": inline, "mmath": inline,

	"pict": picture, "objdata": object, "upr": choice, "ud": second, "htmltag": htmlTag,
}

// runes are control words that stand for a character.
var runes = map[string]rune{
	"tab": '\t', "cell": '\t', "nestcell": '\t', "emdash": '—', "endash": '–', "emspace": ' ', "enspace": ' ', "qmspace": ' ',
	"bullet": '•', "lquote": '‘', "rquote": '’', "ldblquote": '“', "rdblquote": '”',
}

// breaks are control words that end a line.
var breaks = map[string]bool{
	"par": true, "line": true, "lbr": true, "softline": true, "page": true, "softpage": true, "sect": true, "column": true,
	"softcol": true, "row": true,
}

// formatting are control words that change how a text looks. Behind \* they
// leave it where it is, because programs know them.
var formatting = map[string]bool{
	"b": true, "i": true, "ul": true, "ulnone": true, "strike": true, "outl": true, "shad": true, "scaps": true, "caps": true, "fs": true,
	"cf": true, "cb": true, "chcbpat": true, "highlight": true, "super": true, "sub": true, "nosupersub": true, "kerning": true,
	"expnd": true, "expndtw": true, "lang": true, "langfe": true, "langnp": true, "noproof": true, "cs": true, "s": true, "ql": true,
	"qr": true, "qc": true, "qj": true, "li": true, "ri": true, "fi": true, "lin": true, "rin": true, "sb": true, "sa": true, "sl": true,
	"slmult": true, "pard": true, "intbl": true, "itap": true, "ltrch": true, "rtlch": true, "ltrpar": true, "rtlpar": true, "loch": true,
	"hich": true, "dbch": true, "fcs": true, "af": true, "ab": true, "ai": true, "afs": true, "insrsid": true, "charrsid": true,
	"pararsid": true, "revised": true, "up": true, "dn": true, "charscalex": true, "embo": true, "impr": true, "webhidden": true,
}

// blips are control words that say what kind of picture a \pict is.
var blips = map[string]string{
	"pngblip": "image/png", "jpegblip": "image/jpeg", "emfblip": "image/emf", "wmetafile": "image/wmf", "macpict": "image/x-pict",
	"pmmetafile": "image/x-pmmetafile", "dibitmap": "image/bmp", "wbitmap": "image/x-wbitmap",
}
