// Package metafile reads the words of Windows metafiles: EMF, EMF+ and WMF.
//
// A metafile says where each piece of text is drawn. Pieces are put together
// as they are seen: into lines by where they stand, in a line from left to
// right, apart where there is room between them. Time and memory follow the
// length of the file.
//
// Sources: [MS-EMF] 2.3, [MS-EMFPLUS] 2.3, [MS-WMF] 2.3.
package metafile
