// Writes a workbook with SheetJS to standard output: of Numbers, or of another type.
//
// usage: workbook.cjs MODULES [TYPE]
const path = require("node:path");
const load = (name) => require(path.join(process.argv[2], name));
const { utils, write } = load("xlsx");
const bookType = process.argv[3] ?? "numbers";

const book = utils.book_new();
if (bookType === "numbers") {
  utils.book_append_sheet(book, utils.aoa_to_sheet([
    ["Name", "SSN", "Born", "Due"],
    ["Jane Roe", "536-22-8145", "1961-03-04", 2.5],
    ["John Doe", 536228145, null, 7],
  ]), "Ward 3");
  process.stdout.write(write(book, { type: "buffer", bookType, numbers: load("xlsx/dist/xlsx.zahl.js") }));
} else {
  const ward = utils.aoa_to_sheet([
    ["Name", "SSN", "Born", "Due", "Paid"],
    ["Jane Roe 東京", "536-22-8145", 22344, 2.5, true],
    ["John Doe", 536228146, null, -70000000000.125],
    ["Ann Poe", 36228145, 40000.75, 1e-5],
  ]);
  ward.C2.z = "yyyy-mm-dd";
  ward.C4.z = "yyyy-mm-dd hh:mm";
  ward.B3.z = "000-00-0000";
  ward.B4.z = "000000000";
  ward.A2.l = { Target: "http://clinic.example/jane", Tooltip: "her page" };
  utils.cell_add_comment(ward.A3, "seen on the ward", "Bea Nurse");
  utils.book_append_sheet(book, ward, "Ward 3");
  utils.book_append_sheet(book, utils.aoa_to_sheet([["hidden words"]]), "Unseen");
  book.Workbook = { Sheets: [{ Hidden: 0 }, { Hidden: 2 }] };
  process.stdout.write(write(book, { type: "buffer", bookType, bookSST: true, compression: true }));
}
