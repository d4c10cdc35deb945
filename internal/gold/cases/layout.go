package cases

import (
	"fmt"
	"strings"
)

// lines returns the ways in which forms, letters and notes set a value beside
// its label.
func lines() []string {
	return []string{
		"[[L]]: [[v]]\n",
		"[[L]]: [[v]]\n",
		"[[L]]: [[v]]\n",
		"[[L]]:[[v]]\n",
		"[[L]] [[v]]\n",
		"[[L]] - [[v]]\n",
		"[[L]] = [[v]]\n",
		"[[L]]\t[[v]]\n",
		"[[L]]:\t\t[[v]]\n",
		"[[L]]:\n[[v]]\n",
		"[[L]]:\n    [[v]]\n",
		"[[L]] ........ [[v]]\n",
		"[[L]]          [[v]]\n",
		"[[U]]: [[v]]\n",
		"[[U]] [[v]]\n",
		"[[l]]: [[v]]\n",
		"**[[L]]:** [[v]]\n",
		"- [[L]]: [[v]]\n",
		"> [[L]]: [[v]]\n> Thanks, [[given]]\n",
		"| Patient | [[name]] |\n| [[L]] | [[v]] |\n| Ward | 4 West |\n",
		"Patient: [[name]]\n[[L]]: [[v]]\nSeen: [[day]]\nBy: [[doc]]\n",
		"Name          [[name]]\n[[L]]         [[v]]\nTown          [[town]]\n",
		"Name: [[name]], [[L]]: [[v]], Town: [[town]]\n",
		"Name: [[name]]; [[L]]: [[v]]; Town: [[town]]\n",
		"[[name]] ([[L]]: [[v]]) was seen at the clinic on [[day]].\n",
		"[[name]], [[L]] [[v]], was referred by [[doc]].\n",
		"Please change the [[L]] we hold for [[name]] to [[v]]. Thank you.\n",
		"The [[L]] is [[v]].\n",
		"The [[L]] given at the desk was\n[[v]], copied from what she showed us.\n",
		"We have [[L]] [[v]] on file for [[name]]; is that still right?\n",
		"hi its [[given]], my [[l]] is [[v]] thx\n",
		"pt [[family]] [[l]] [[v]] pls call back\n",
		"Re: [[name]] / [[L]] [[v]]\n",
		"[[L]]: \"[[v]]\"\n",
		"[[L]] ([[v]])\n",
	}
}

// table writes a few records that call the value key: rows with a header, or
// one of the notations of programs.
func (p *page) table(key string) {
	rows := 1 + p.IntN(2)
	sep, head := p.one([]string{",", ",", ",", "\t", ";", "|"}), p.IntN(3)
	switch p.IntN(9) {
	case 0:
		p.objects(key, rows)
	case 1:
		for range rows {
			p.next()
			p.write(fmt.Sprintf("<record><name>[[name]]</name><%[1]s>[[v]]</%[1]s></record>\n", strings.ReplaceAll(key, " ", "")))
		}
	case 2:
		p.write(fmt.Sprintf("level=info msg=\"record saved\" %s=[[v]] ward=4W took=12ms\n", strings.ReplaceAll(key, " ", "_")))
	case 3:
		p.write(fmt.Sprintf("name: [[name]]\n%s: [[v]]\nward: 4W\n", key))
	default:
		columns := [][2]string{{"name", "[[name]]"}, {"town", "[[town]]"}, {"seen", "[[iso]]"}}
		columns = append(columns[:head], append([][2]string{{key, "[[v]]"}}, columns[head:]...)...)
		var top, row []string
		for _, c := range columns {
			top, row = append(top, c[0]), append(row, c[1])
		}
		p.write(strings.Join(top, sep) + "\n")
		for range rows {
			p.next()
			p.write(strings.Join(row, sep) + "\n")
		}
	}
}

func (p *page) objects(key string, rows int) {
	p.write("[")
	for i := range rows {
		if i > 0 {
			p.write(",")
		}
		p.next()
		p.write(fmt.Sprintf("\n  {\"name\": \"[[name]]\", %q: \"[[v]]\", \"town\": \"[[town]]\"}", key))
	}
	p.write("\n]\n")
}

// next turns to another patient.
func (p *page) next() { p.who = p.people.Patient() }

// otherLabels returns what calls a number something that is no identifier of
// a person.
func otherLabels() []string {
	return []string{
		"Invoice no.", "Invoice number", "Order no.", "Order number", "Tracking number", "Tracking no.", "Part no.", "Part number",
		"Serial no.", "Serial number", "Purchase order", "PO number", "Ticket no.", "Help desk ticket", "Confirmation number",
		"Confirmation code", "SKU", "Lot no.", "Batch number", "Asset tag", "Quote no.", "Catalog no.", "Shipment ID", "Model number",
	}
}

func otherKeys() []string {
	return []string{
		"tracking_number", "invoice_no", "invoice number", "order_id", "order number", "part_number", "serial_number", "ticket_id", "batch_no",
		"sku", "confirmation_code", "asset_tag", "po_number", "lot_number", "shipment_id", "catalog_no",
	}
}

func openings() []string {
	return []string{
		"Dear colleague,\n\n",
		"Hello,\n\nthank you for seeing [[name]] so soon.\n",
		"Good morning [[given]],\n\n",
		"From the desk of [[doc]]\n\n",
		"Northgate Clinic\n[[street]], [[town]]\n\n",
		"Hi team, quick one before the round.\n",
		"REGISTRATION SHEET\n------------------\n",
		"As we said on the phone yesterday, here is what was still missing.\n\n",
		"The patient was admitted on [[day]] with chest pain and shortness of breath.\n",
		"Please find below what you asked for.\n",
		"FYI, see below. I could not open the attachment.\n\n",
		"Seen today in clinic, in good spirits. Blood pressure 128/82, pulse 71, afebrile.\n",
	}
}

func closings() []string {
	return []string{
		"\nKind regards,\n[[doc]]\n",
		"\nThank you\n",
		"Let me know if anything is missing.\n",
		"\nNorthgate Clinic, [[street]], [[town]]\n",
		"Metformin 500 mg twice daily was continued.\n",
		"\n--\nSent from my phone\n",
		"Follow-up in two weeks.\n",
		"\nThis message is meant for the addressee only.\n",
		"He will be seen again by [[doc]] in 6 weeks.\n",
	}
}

// noise returns what floods a scanner and holds no identifier of any type.
func noise() []string {
	return []string{
		"request [[uuid]] failed after 3 tries\n",
		"commit [[sha]]\nMerge branch 'main'\n",
		"trace [[hex]][[hex]][[hex]][[hex]] span [[hex]][[hex]]\n",
		"p = 0.[[n9]], q = 0.[[n9]], ratio 1.[[n9]]\n",
		"epoch 17[[n8]] and 17[[n8]][[n3]] ms\n",
		"<path d=\"M[[n3]].[[n2]] [[n3]].[[n2]]l-[[n2]].[[n4]]-[[n2]].[[n3]]c[[n1]].[[n9]] 0 [[n1]].[[n8]] [[n1]].[[n3]]z\"/>\n",
		"<id root=\"2.16.840.1.113883.19.[[n1]].[[n5]].[[n4]]\"/>\n",
		"County,Population,Households\nAdams,[[n6]],[[n5]]\nBrown,[[n7]],[[n6]]\nClark,[[n9]],[[n8]]\n",
		"See KB[[n7]] and install build 10.0.[[n5]].[[n4]] before [[iso]].\n",
		"https://shop.example/item/[[n9]]?ref=[[hex]]&id=[[n10]]\n",
		"Total due $1,[[n3]].[[n2]]; paid $[[n3]].[[n2]] on [[day]]; balance $[[n3]].00\n",
		"inet6 fe80::[[n4]]:[[n4]]:fe[[n2]]:[[n4]] scopeid 0x5; mtu 1500; rx [[n9]] tx [[n10]]\n",
		"drwxr-xr-x 2 root root [[n5]] [[iso]] backup-[[n12]].tar.gz\n",
		"Scale 12,345,[[n3]] : [[n9]]; grid ref [[n3]] [[n3]]; depth [[n2]].[[n1]] m\n",
		"sha256:[[hex]][[hex]][[hex]][[hex]][[hex]][[hex]][[hex]][[hex]]\n",
		"Build 2026.[[n2]].[[n3]]-rc[[n1]] (r[[n6]]) released [[iso]]\n",
		"[[n3]] [[n4]] [[n5]] [[n2]] [[n6]] [[n3]]\n[[n5]] [[n2]] [[n4]] [[n6]] [[n3]] [[n4]]\n",
	}
}
