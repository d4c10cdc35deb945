// Writes a claim with node-x12, or a bundle with fhir, as other programs do.
//
// usage: documents.cjs MODULES x12 SEPARATORS | MODULES fhir
// SEPARATORS are those of elements, components and segments. Prints a line of JSON:
// of x12 "file", and "values", what a query of node-x12 finds in it by qualifier; of
// fhir "json" and "xml", the same bundle.
const [modules, kind, signs] = process.argv.slice(2);
const path = require("node:path");
const load = (name) => require(path.join(modules, name));

function claim() {
  const { X12Interchange, X12SerializationOptions, X12Parser, X12QueryEngine } = load("node-x12");
  const [element, component, segment] = signs;
  const interchange = new X12Interchange(new X12SerializationOptions({
    elementDelimiter: element, subElementDelimiter: component, segmentTerminator: segment, endOfLine: "\n", format: true,
  }));
  interchange.setHeader(["00", "", "00", "", "ZZ", "SENDER", "ZZ", "RECEIVER", "260301", "1200", "^", "00501", "000000001", "0", "P", component]);
  const group = interchange.addFunctionalGroup();
  group.setHeader(["HC", "SENDER", "RECEIVER", "20260301", "1200", "1", "X", "005010X222A1"]);
  const set = group.addTransaction();
  set.setHeader(["837", "0001"]);
  const people = [
    ["ROE", "JANE", "W123456789", "100 LOW STREET", "45402", "19610304", "536228145", "E1234567", "9375550142", "E119"],
    ["DOE", "JOHN", "W123456790", "7 HIGH STREET", "45403", "19720511", "536228146", "E7654321", "9375550143", "I10"],
  ];
  people.forEach(([last, first, member, street, zip, born, ssn, mrn, phone, code], i) => {
    set.addSegment("HL", [String(i + 1), "", "22", "0"]);
    set.addSegment("NM1", ["IL", "1", last, first, "", "", "", "MI", member]);
    set.addSegment("N3", [street]);
    set.addSegment("N4", ["DAYTON", "OH", zip]);
    set.addSegment("DMG", ["D8", born, "F"]);
    set.addSegment("REF", ["SY", ssn]);
    set.addSegment("REF", ["EA", mrn]);
    set.addSegment("PER", ["IC", "X", "TE", phone]);
    set.addSegment("CLM", ["ACC" + i, "100"]);
    set.addSegment("HI", ["ABK" + component + code]);
  });
  const file = interchange.toString();

  const parser = new X12Parser(true);
  const engine = new X12QueryEngine(parser);
  const read = parser.parse(file);
  const asked = {
    NAME: ['NM103:NM101["IL"]', 'NM104:NM101["IL"]'], HEALTH_PLAN_ID: ['NM109:NM108["MI"]'], ADDRESS: ["N301"], ZIP: ["N403"], DOB: ["DMG02"],
    SSN: ['REF02:REF01["SY"]'], MRN: ['REF02:REF01["EA"]'], PHONE: ['PER04:PER03["TE"]'], ACCOUNT: ["CLM01"],
  };
  const values = [];
  for (const [type, queries] of Object.entries(asked)) {
    for (const query of queries) {
      for (const found of engine.query(read, query)) values.push(`${type}=${found.value}`);
    }
  }
  for (const found of engine.query(read, "HI01")) values.push(`ICD10=${found.value.split(component)[1]}`);
  return { file, values };
}

function bundle() {
  const { Fhir } = load("fhir");
  const patient = {
    resourceType: "Patient", id: "one",
    text: { status: "generated", div: '<div xmlns="http://www.w3.org/1999/xhtml"><p>Jane &amp; co, SSN 536-22-8145</p></div>' },
    identifier: [
      { type: { coding: [{ system: "http://terminology.hl7.org/CodeSystem/v2-0203", code: "MR" }] }, system: "urn:oid:1.2.3", value: "E1234567" },
      { system: "http://hl7.org/fhir/sid/us-ssn", value: "536-22-8145" },
    ],
    name: [{ family: "Roe & Sons", given: ["Jane", "Müller"] }],
    telecom: [{ system: "phone", value: "937-555-0142" }, { system: "email", value: "a@x.example" }],
    birthDate: "1961-03-04", address: [{ line: ["100 Low Street"], postalCode: "45402" }],
  };
  const practitioner = { resourceType: "Practitioner", identifier: [{ system: "http://hl7.org/fhir/sid/us-npi", value: "1234567893" }] };
  const condition = {
    resourceType: "Condition", subject: { reference: "Patient/one" },
    code: { coding: [{ system: "http://hl7.org/fhir/sid/icd-10-cm", code: "E11.9" }, { system: "http://snomed.info/sct", code: "73211009" }] },
  };
  const all = { resourceType: "Bundle", type: "collection", entry: [patient, practitioner, condition].map((resource) => ({ resource })) };
  const xml = new Fhir().objToXml(all);
  return { json: new Fhir().xmlToJson(xml), xml };
}

console.log(JSON.stringify(kind === "x12" ? claim() : bundle()));
