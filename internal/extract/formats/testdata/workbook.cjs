// Writes a workbook of Numbers with SheetJS to standard output.
//
// usage: workbook.cjs MODULES
const path = require("node:path");
const load = (name) => require(path.join(process.argv[2], name));
const { utils, write } = load("xlsx");
const numbers = load("xlsx/dist/xlsx.zahl.js");

const book = utils.book_new();
utils.book_append_sheet(book, utils.aoa_to_sheet([
  ["Name", "SSN", "Born", "Due"],
  ["Jane Roe", "536-22-8145", "1961-03-04", 2.5],
  ["John Doe", 536228145, null, 7],
]), "Ward 3");
process.stdout.write(write(book, { type: "buffer", bookType: "numbers", numbers }));
