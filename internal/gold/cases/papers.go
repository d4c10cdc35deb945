package cases

import (
	"strings"
)

func passportKind() kind {
	number := func(p *page) string {
		switch n := p.IntN(20); {
		case n < 7:
			return p.of(digits[1:7], 1) + p.of(digits, 8) // United States books until 2021, United Kingdom
		case n < 13:
			return p.of("AXYZ", 1) + p.of(digits, 8) // United States, next generation
		case n < 14:
			return "C" + p.of(digits, 8) // United States cards
		case n < 15:
			return p.shape("AA999999") // Canada
		case n < 16:
			return "G" + p.of(digits, 8) // Mexico
		case n < 17:
			return p.shape("A9999999") // India, Australia
		case n < 18:
			return "E" + p.of("ABCDEFGH", 1) + p.of(digits, 7) // China
		case n < 19:
			return p.of("CFGHJK", 1) + p.of("0123456789CFGHJKLMNPRTVWXYZ", 7) + p.of(digits, 1) // Germany
		}
		return p.shape("99AA99999") // France
	}
	return kind{
		typ: "PASSPORT",
		value: func(p *page) string {
			v := number(p)
			if p.IntN(15) == 0 {
				return strings.ToLower(v)
			}
			return v
		},
		record: number,
		labels: []string{
			"Passport", "Passport No.", "Passport no", "Passport number", "Passport #", "US passport number", "U.S. Passport No.", "Passport Number",
			"Passport book number", "Travel document number", "Passport ID", "Passport card number",
		},
		keys: []string{"passport", "passport_number", "passport_no", "Passport Number", "PassportNo", "passportNumber"},
		prose: []string{
			"[[name]] showed passport [[v]] at the desk.\n",
			"Identity was checked against her passport, number [[v]], issued in 2021.\n",
			"The international patients office needs the visa letter for passport number [[v]].\n",
			"my passport number is [[v]] and it is good until 2031\n",
			"Holder of passport no. [[v]], [[name]] is here for surgery.\n",
			"Travels on a Canadian passport ([[v]]).\n",
			"[[mrz]]\n",
			"Please book the transfer flight for [[name]], passport [[v]], seat in front.\n",
		},
		looks: []string{
			"Passport photo 2x2 in, receipt [[x]]\n",
			"The passport fee is $130.00, check no. [[n4]].\n",
			"Passport office, 877-555-01[[n2]], appointment [[iso]]\n",
			"Passport expires [[day]]\n",
			"Passport: not presented\n",
			"The Honda Passport is in for service; invoice [[x]].\n",
			"My Passport drive (WD), serial number [[x]], was found in the bin.\n",
			"Form DS-11, OMB 1405-0004, is used to apply for a passport.\n",
			"Passport Health clinic, order number [[x]], two doses of typhoid vaccine\n",
			"Badge [[x]] opens the side door.\n",
			"Read [[x]] blocks in [[n3]] ms\n",
			"Claim [[x]] was paid in full.\n",
			"He lost his passport; the police report number is [[x]].\n",
			"Parcel [[x]] is at the front desk.\n",
		},
	}
}

// zone writes the machine-readable zone of a passport of the United States;
// its number opens the second line.
//
// Source: ICAO Doc 9303-4, 4.2.2.
func (p *page) zone() {
	first := "P<USA" + strings.ReplaceAll(strings.ToUpper(p.who.Family+"<<"+p.who.Given), "-", "<")
	p.text.WriteString((first + strings.Repeat("<", 44))[:44] + "\n")
	number := p.of("123456AXYZ", 1) + p.of(digits, 8)
	p.mark(number)
	born, until := p.who.Born.Format("060102"), p.who.Admitted.AddDate(7, 0, 0).Format("060102")
	number, born, until = number+mrzDigit(number), born+mrzDigit(born), until+mrzDigit(until)
	rest := strings.Repeat("<", 14) + "0"
	p.text.WriteString(number[9:] + "USA" + born + "F" + until + rest + mrzDigit(number+born+until+rest))
}

func licenceKind() kind {
	// The forms of the larger states and some odd ones, as the states publish
	// them: California, Texas, Florida, New York, Pennsylvania, Illinois, Ohio,
	// Georgia, North Carolina, Michigan, New Jersey, Virginia, Washington,
	// Massachusetts, Wisconsin, Colorado, Maryland, Arizona, Minnesota, Iowa, New
	// Hampshire, Idaho, Hawaii, Kansas.
	states := []string{
		"A9999999", "A9999999", "99999999", "99999999", "A999999999999", "999999999", "99999999", "A99999999999", "AA999999",
		"999999999", "999999999999", "A999999999999", "A99999999999999", "A99999999", "WDLAA9A99AA9", "S99999999", "A9999999999999",
		"99-999-9999", "A-999-999-999-999", "A99999999", "A999999999999", "999AA9999", "99AAA99999", "AA999999A", "H99999999", "K99-99-9999",
		"A999-9999-9999", "A999-999-99-999-9",
	}
	number := func(p *page) string {
		s := p.one(states)
		if rest, ok := strings.CutPrefix(s, "WDL"); ok {
			return "WDL" + p.shape(rest)
		}
		if s[0] == '9' {
			return p.of(digits[1:], 1) + p.shape(s[1:])
		}
		return p.shape(s)
	}
	return kind{
		typ: "DRIVER_LICENSE", value: number,
		labels: []string{
			"Driver's license", "Driver's License #", "Driver's license number", "Drivers license no.", "Driver License", "Driver license number",
			"DL", "DL #", "DL No.", "DL#", "Driver's Licence", "Driving licence number", "CA driver's license", "Drivers Lic. #", "D.L. No.", "State driver license no.",
		},
		keys: []string{"drivers_license", "driver_license_number", "dl_number", "DriversLicense", "Driver License No", "driver_license", "dl_no", "drivers_license_number"},
		prose: []string{
			"She showed a Washington driver's license, number [[v]].\n",
			"ID at the desk: driver's license [[v]], photo matches.\n",
			"[[name]] (DL [[v]]) signed the consent.\n",
			"his drivers license is [[v]] if you need it for the form\n",
			"The DMV wants the report on driver license no. [[v]] by Friday.\n",
			"A copy of driver's license number [[v]] is attached.\n",
			"Texas DL number [[v]] was checked at registration.\n",
		},
		fields: []string{msh + "PID|1||[[n7]]^^^NGC^MR||[[NAME]]||19670412|F|||[[street]]^^[[town]]|||||||||[[v]]^WA^20290101\n"},
		looks: []string{
			"Driver's license class C, restriction B\n",
			"Driver's license expires [[day]]\n",
			"Driver's license: not presented\n",
			"Graphics driver 535.104.[[n2]] needs license server [[n4]].\n",
			"Software license key [[n5]]-[[n5]]-[[n5]]\n",
			"Business license [[x]] of the cafeteria is due.\n",
			"Medical license no. MD[[n8]] of [[doc]]\n",
			"RN license number RN[[n6]] was verified with the board.\n",
			"Deliver to dock 4, delivery note [[x]].\n",
			"License plate 8[[AZ]][[AZ]][[AZ]][[n3]] parked in the ambulance bay.\n",
			"DL speed [[n3]].[[n2]] Mbit/s, UL [[n2]].[[n1]] Mbit/s\n",
			"Driver [[given]] brought parcel [[x]].\n",
			"Site licence for [[n4]] seats, contract [[x]]\n",
			"Liquor license no. [[x]] was shown by the caterer.\n",
			"Printer driver v[[n1]].[[n2]].[[n4]] was installed.\n",
			"HDL [[n2]] mg/dL, LDL [[n3]] mg/dL, total [[n3]]\n",
		},
	}
}

func vinKind() kind {
	const some = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"
	bad := func(p *page) string {
		v := []byte(vin(p))
		for v[0] > '5' { // the check digit binds North America only
			v = []byte(vin(p))
		}
		switch p.IntN(3) {
		case 0:
			v[8] = digits[(int(v[8]-'0')+1+p.IntN(8))%10]
		case 1:
			v[3+p.IntN(4)] = "IOQ"[p.IntN(3)]
		default:
			return string(v[:16])
		}
		return string(v)
	}
	return kind{
		typ: "VIN",
		value: func(p *page) string {
			switch p.IntN(12) {
			case 0:
				return strings.ToLower(vin(p))
			case 1: // the check digit binds North America only
				return p.one([]string{"WVWZZZ", "WDBZZZ", "VF1ZZZ", "ZFAZZZ", "TMBZZZ", "VSSZZZ"}) + p.of("123456789", 1) + p.of("KJNP", 1) + "Z" +
					p.of("ABCDEFGHJKLMNPRSTVWXY", 1) + p.of("ABCDEFGHJK", 1) + p.of(digits, 6)
			}
			return vin(p)
		},
		record: vin,
		labels: []string{
			"VIN", "VIN", "VIN #", "VIN no.", "VIN number", "Vehicle identification number", "Vehicle ID number", "Vehicle Identification No.", "V.I.N.", "Vehicle VIN",
		},
		keys: []string{"vin", "VIN", "vehicle_identification_number", "vehicle_vin", "VIN Number", "vin_number"},
		prose: []string{
			"The patient's car, VIN [[v]], is still in the garage.\n",
			"The auto insurer needs the vehicle identification number, which is [[v]].\n",
			"Crash report: vehicle 1, VIN [[v]], driver [[name]]\n",
			"vin on the van is [[v]]\n",
			"Transport claim for the vehicle with identification number [[v]].\n",
		},
		alone: []string{
			"The car in the police report is a blue sedan, [[v]], driven by [[name]].\n",
			"Patient's vehicle [[v]] was towed on [[day]].\n",
			"Auto claim, insured vehicle [[v]], date of loss [[iso]]\n",
		},
		form:  vin,
		wrong: bad,
		other: func(p *page) string { return p.of(some, 8) + "Y" + p.of(some, 8) },
		looks: []string{
			"Serial [[x]] was read from the pump.\n",
			"token=[[x]]; path=/; secure\n",
			"0x[[hex]][[hex]][[n1]]\n",
			"17 digits: [[n9]][[n8]]\n",
			"Vin ordinaire, bottle no. [[n4]], 2019\n",
			"VIN (voltage in) 4.5-17.0 V, VOUT 3.3 V, [[n5]] Hz\n",
			"License key [[x]]-[[hex]]\n",
			"VIN: not recorded\n",
			"base32 [[x]][[x]]\n",
			"UPS 1Z[[n9]][[n7]] was delivered to [[town]].\n",
			"Session [[x]] timed out after 15 minutes.\n",
			"GS1 element (01)00[[n12]](17)290101(10)[[n6]]\n",
		},
	}
}

func accountKind() kind {
	return kind{
		typ: "US_BANK",
		value: func(p *page) string {
			if p.IntN(5) == 0 {
				return "000" + p.digits(7+p.IntN(3))
			}
			return p.digits(8 + p.IntN(5))
		},
		labels: []string{
			"Bank account number", "Bank account no.", "Bank account #", "Checking account number", "Checking account", "Savings account number",
			"Checking acct #", "Bank acct no.", "Savings account no.", "Bank account",
		},
		keys: []string{"bank_account_number", "bank_account", "checking_account", "Bank Account Number", "checking_account_number", "BankAccountNumber"},
		prose: []string{
			"Please set up direct deposit to checking account [[v]].\n",
			"The refund goes to her bank account, number [[v]], at Fernhollow Savings.\n",
			"Direct deposit: routing number [[routing]], account number [[v]]\n",
			"Wire to ABA [[routing]], account [[v]], in the name of [[name]].\n",
			"ACH debit from account [[v]], routing [[routing]], on the fifth of each month\n",
			"my bank routing number is [[routing]] and checking account is [[v]]\n",
			"Autopay draws on bank account no. [[v]].\n",
			"Savings acct [[v]] is to be used for refunds to [[name]].\n",
		},
		looks: []string{
			"Food bank order no. [[x]]\n",
			"Blood bank unit number W[[n4]][[n2]][[n6]], O positive\n",
			"Account manager [[given]], extension [[n4]]\n",
			"Account number [[x]] with the water works was closed.\n",
			"Patient account no. [[x]], balance $[[n3]].[[n2]]\n",
			"Checking [[x]] files for changes\n",
			"Bank holiday on [[day]], tracking number [[x]]\n",
			"Bank account: closed\n",
			"Badge [[x]] was handed back.\n",
			"Savings of $[[x]] are planned for next year.\n",
			"Power bank, 20000 mAh, order number [[x]]\n",
			"Check no. [[n4]] for $[[n3]].[[n2]] was cashed.\n",
			"Tissue bank, lot [[x]], thawed on [[day]]\n",
		},
	}
}

func routingKind() kind {
	return kind{
		typ: "US_BANK", value: routing,
		labels: []string{
			"Routing number", "Routing number", "ABA routing number", "Routing no.", "ABA number", "ABA #", "Routing #", "RTN", "Bank routing number",
			"Routing transit number", "ABA",
		},
		keys: []string{"routing_number", "aba_routing_number", "bank_routing_number", "Routing Number", "aba_number", "RoutingNumber"},
		prose: []string{
			"A voided check shows routing number [[v]].\n",
			"Her bank's routing number is [[v]].\n",
			"Set up the wire with ABA [[v]] as usual.\n",
			"routing no [[v]] for the refund to [[name]]\n",
			"The bank (ABA routing [[v]]) returned the payment.\n",
		},
		wrong: func(p *page) string {
			if p.IntN(3) > 0 {
				return p.bumped(routing(p))
			}
			// 13 to 20, 33 to 60, 73 to 79 and 81 to 99 were never given out.
			eight := p.one([]string{"15", "19", "34", "40", "47", "55", "59", "75", "79", "85", "92", "98"}) + p.of(digits, 6)
			return eight + p.of(digits, 1)
		},
		looks: []string{
			"Routing slip [[x]] goes with the specimen.\n",
			"Routing table has [[x]] entries, next hop 10.1.[[n2]].[[n2]]\n",
			"Badge [[x]] was handed back.\n",
			"ABA (applied behavior analysis) session no. [[n2]] on [[iso]]\n",
			"Read [[x]] of [[n9]] records\n",
			"The form goes to the bank by courier, tracking number [[x]].\n",
			"Routing number: see check\n",
			"Counter [[x]] wrapped around.\n",
			"County,Population\nAdams,[[x]]\nBrown,[[n7]]\n",
			"The ABA meets on [[day]] in [[town]]; hotel confirmation number [[x]]\n",
		},
	}
}

func cardKind() kind {
	plain := func(p *page) string { n, _ := card(p); return n }
	written := func(p *page, n string, groups []int) string {
		switch p.IntN(10) {
		case 0, 1, 2, 3:
			return grouped(n, " ", groups...)
		case 4, 5, 6:
			return grouped(n, "-", groups...)
		}
		return n
	}
	return kind{
		typ: "CREDIT_CARD",
		value: func(p *page) string {
			n, groups := card(p)
			return written(p, n, groups)
		},
		labels: []string{
			"Card number", "Credit card", "Credit card number", "Credit card #", "Card no.", "CC#", "Visa", "Debit card number", "Card #", "Payment card",
			"Card on file", "Credit card no.",
		},
		keys: []string{"card_number", "credit_card", "cc_number", "Card Number", "credit_card_number", "cardNumber", "pan"},
		prose: []string{
			"Please charge the copay to my card [[v]], exp 04/29.\n",
			"She read us her credit card number over the phone: [[v]].\n",
			"Payment by card [[v]] was declined.\n",
			"put it on my visa [[v]] pls\n",
			"The card ending the deposit is [[v]], name [[name]].\n",
		},
		alone: []string{
			"[[name]], [[v]], 04/29\n",
			"Copay 40.00 paid with [[v]].\n",
		},
		form: func(p *page) string {
			n, groups := card(p)
			return written(p, n, groups)
		},
		wrong: func(p *page) string {
			n, groups := card(p)
			return written(p, p.bumped(n), groups)
		},
		other: plain,
		looks: []string{
			"Tweet id [[x]] was removed.\n",
			"order id [[x]] shipped\n",
			"Card ending in [[n4]]\n",
			"Trace [[hex]][[n8]][[hex]] took 12 ms\n",
			"GTIN 0[[n7]][[n6]], lot [[n5]]\n",
			"Gift card balance $[[n2]].00\n",
			"epoch micros 17[[n8]][[n6]]\n",
			"Library card, shelf mark 616.[[n2]]\n",
			"Card number: not given\n",
			"Tracking no. [[x]] (ground)\n",
			"0.[[n12]][[n4]]\n",
			"Meter readings [[n4]] [[n4]] [[n3]]\n",
		},
	}
}

func ibanKind() kind {
	return kind{
		typ: "IBAN",
		value: func(p *page) string {
			v := iban(p)
			switch p.IntN(10) {
			case 0, 1, 2, 3, 4:
				return grouped(v, " ", 4, 4, 4, 4, 4, 4, 4)
			case 5:
				return strings.ToLower(v)
			}
			return v
		},
		record: iban,
		labels: []string{"IBAN", "IBAN", "IBAN no.", "IBAN number", "International bank account number", "Account (IBAN)", "Bank account (IBAN)", "IBAN code"},
		keys:   []string{"iban", "IBAN", "iban_number", "bank_iban", "account_iban"},
		prose: []string{
			"Please send the refund to [[v]], in the name of [[name]].\n",
			"The insurer abroad pays from IBAN [[v]].\n",
			"my iban is [[v]] thanks\n",
			"Transfer to [[v]] (BIC FERNDEFF).\n",
		},
		alone: []string{"[[name]], [[v]]\n", "Refund: [[v]]\n"},
		form: func(p *page) string {
			v := iban(p)
			if p.IntN(2) == 0 {
				return v
			}
			return grouped(v, " ", 4, 4, 4, 4, 4, 4, 4)
		},
		wrong: func(p *page) string {
			v := iban(p)
			if p.IntN(4) == 0 {
				return v[:len(v)-1]
			}
			if v = p.bumped(v); p.IntN(2) == 0 {
				return grouped(v, " ", 4, 4, 4, 4, 4, 4, 4)
			}
			return v
		},
		other: func(p *page) string { v := iban(p); return p.bumped(v) },
		looks: []string{
			"VAT number DE[[n9]]\n",
			"Key DE[[n2]]-[[n4]]-[[n4]]-[[n4]]\n",
			"Order GB[[n2]] [[n4]] [[n4]]\n",
			"IBAN: to follow\n",
			"Article [[x]] is out of stock.\n",
			"Flight NL[[n4]], booking [[hex]]\n",
			"id=FR[[n10]][[n10]]\n",
			"BIC FERNDEFF, sort code [[n2]]-[[n2]]-[[n2]]\n",
		},
	}
}
