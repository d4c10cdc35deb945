"""Writes messages with python-hl7, as one file of HL7 v2, and says what they mean.

usage: messages_hl7.py KIND SEPARATORS ESCAPE, SEPARATORS being those of fields, repetitions,
components and subcomponents. Prints a line of JSON: "file", and "values", what the
patients' fields say, with blanks for separators of fields in them.
"""
import json
import sys

import hl7

kind, signs, esc = sys.argv[1:]
seps = "\r" + signs
field, repeat, component, sub = signs

PATIENTS = [
    ("E1234567", "536-22-8145", "M\u00fcller & Sons", "19610304", "12 Low St" + field + "Rear", "45402", "a" + component + "b@x.example"),
    ("E7654321", "536-22-8146", "O" + sub + "Hara" + esc, "19720511", "7 High " + repeat + " Way", "45403", "c@x.example"),
]


def message(patient, control):
    mrn, ssn, name, born, street, zip_code, mail = patient
    args = {"esc": esc, "separators": seps}

    def segment(*fields):
        return hl7.Segment(field, [hl7.Field(repeat, [f] if isinstance(f, str) else f, **args) for f in fields], **args)

    def parts(*values):
        return hl7.Repetition(component, [hl7.Component(sub, [v], **args) for v in values], **args)

    m = hl7.Message("\r", [segment("MSH", field, component + repeat + esc + sub, "A", "B", "C", "D", "20260301", "", [parts("ADT", "A01")], control, "P", "2.5")], **args)
    e = m.escape
    m.append(segment("PID", "1", "", [parts(e(mrn), "", "", "CLINIC", "MR"), parts(e(ssn), "", "", "SSA", "SS")], "", [parts(e(name), "JANE")], "", born, "F", "", "",
                     [parts(e(street), "", "Dayton", "OH", zip_code)], "", [parts("", "PRN", "PH", e(mail))]))
    m.append(segment("DG1", "1", "", [parts("E11.9", "Diabetes", "I10")]))
    m.append(segment("NTE", "1", "", "seen" + esc + ".br" + esc + "SSN" + esc + "H" + esc + " " + ssn.replace("-", esc + "X2D" + esc) + esc + "N" + esc))
    return m


args = {"esc": esc, "separators": seps}
messages = [message(p, str(i)) for i, p in enumerate(PATIENTS)]
if kind == "messages":
    text = "".join(str(m) for m in messages)
elif kind == "mllp":
    text = "".join("\x0b" + str(m) + "\x1c\r" for m in messages)
else:
    batch = hl7.Batch("\r", messages, **args)
    batch.header, batch.trailer = batch.create_header(), batch.create_trailer()
    f = hl7.File("\r", [batch], **args)
    f.header, f.trailer = f.create_header(), f.create_trailer()
    text = str(f)

values = []
for m in messages:
    read = hl7.parse(str(m))
    blanks = str.maketrans(dict.fromkeys(field + repeat + component + "|^~", " "))

    def say(value):
        return read.unescape(value).translate(blanks)

    pid = read["PID"][0]
    values += [say(str(v)) for v in (pid[3][0][0], pid[3][1][0], pid[5][0][0], pid[7], pid[11][0][0], pid[11][0][4], pid[13][0][3])]
    values += [str(read["DG1"][0][3][0][0])]
json.dump({"file": text, "values": values}, sys.stdout)
