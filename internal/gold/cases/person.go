package cases

import (
	"fmt"
	"strings"
	"time"
)

// kinds returns what is known of each type.
func kinds() []kind {
	return []kind{
		ssnKind(), itinKind(), mbiKind(), mrnKind(), planKind(), medicaidKind(), dobKind(), phoneKind(),
		passportKind(), licenceKind(), vinKind(), accountKind(), routingKind(), cardKind(), ibanKind(),
		npiKind(), deaKind(), ndcKind(), icdKind(),
	}
}

const (
	msh = "MSH|^~\\&|ADT|NORTHGATE|LAB|NORTHGATE|[[ymd]]0915||ADT^A04|MSG[[n5]]|P|2.5\n"
	isa = "ISA*00*          *00*          *ZZ*NORTHGATE      *ZZ*PAYER          *260301*0900*^*00501*000000001*0*P*:~\n" +
		"GS*HC*NORTHGATE*PAYER*20260301*0900*1*X*005010X222A1~\nST*837*0001*005010X222A1~\n"
)

func ssnKind() kind {
	dashed := func(p *page) string { a, g, s := ssn(p); return a + "-" + g + "-" + s }
	return kind{
		typ: "SSN",
		value: func(p *page) string {
			a, g, s := ssn(p)
			switch n := p.IntN(20); {
			case n < 11:
				return a + "-" + g + "-" + s
			case n < 15:
				return a + g + s
			case n < 17:
				return a + " " + g + " " + s
			case n < 18:
				return a + "." + g + "." + s
			case n < 19:
				return a + " - " + g + " - " + s
			}
			return a + "-" + g + "-" + s + p.of("ABCDM", 1) // a claim number of the old Medicare cards
		},
		record: func(p *page) string {
			a, g, s := ssn(p)
			if p.IntN(2) == 0 {
				return a + "-" + g + "-" + s
			}
			return a + g + s
		},
		labels: []string{
			"SSN", "SSN", "SSN #", "SSN#", "Social Security Number", "Social Security No.", "Soc. Sec. No.", "Soc Sec #", "SS#", "S.S.N.",
			"Social Security #", "Patient SSN", "Insured's SSN", "Social security",
		},
		keys: []string{"ssn", "SSN", "social_security_number", "patient_ssn", "Social Security Number", "SocialSecurityNumber", "ssn_no"},
		prose: []string{
			"Her social security number is [[v]], as the card shows.\n",
			"[[name]], social security no. [[v]], has asked for a copy of the chart.\n",
			"Could you run eligibility on SSN [[v]]? The name is [[name]].\n",
			"Patient [[name]] (SSN [[v]]) was discharged on [[day]].\n",
			"I need the social for the claim. It is [[v]].\n",
			"the social security number we have for you ends the claim,\nplease confirm [[v]] by phone\n",
			"SSN of guarantor [[family]]: [[v]]\n",
		},
		fields: []string{
			msh + "PID|1||[[n7]]^^^NGC^MR||[[NAME]]||19670412|F|||[[street]]^^[[town]]||||||||[[v]]\n",
			isa + "NM1*IL*1*[[family]]*[[given]]~\nREF*SY*[[v]]~\n",
		},
		alone: []string{
			"[[name]], [[v]], [[town]]\n",
			"Chart pulled for [[name]] [[v]], to be scanned.\n",
			"Please send the report on [[v]] to [[doc]].\n",
			"1. [[name]]  [[v]]  discharged\n",
		},
		form: dashed,
		wrong: func(p *page) string {
			a, g, s := ssn(p)
			switch p.IntN(5) {
			case 0:
				a = "000"
			case 1:
				a = "666"
			case 2:
				g = "00"
			case 3:
				s = "0000"
			default:
				a, g = fmt.Sprintf("9%02d", p.IntN(80)), fmt.Sprintf("%02d", 1+p.IntN(49))
			}
			return a + "-" + g + "-" + s
		},
		other: func(p *page) string { a, g, s := ssn(p); return a + g + s },
		looks: ssnLooks(),
	}
}

func ssnLooks() []string {
	return []string{
		"SSN: XXX-XX-[[n4]]\n",
		"Last four of the SSN: [[n4]]\n",
		"Call the front desk at 206-555-01[[n2]] and never send your SSN by mail. Reference number [[x]].\n",
		"Employer identification number 91-[[n7]]\n",
		"Ship to [[town]], WA 98[[n3]]-[[n4]]\n",
		"USS Seawolf (SSN-575), hull [[n3]], was launched in 1955.\n",
		"SSN 078-05-1120 was printed on a sample card that came with wallets.\n",
		"The specimen card bears 219-09-9999 and is void.\n",
		"The file has [[x]] bytes in [[n5]] blocks.\n",
		"Barcode [[x]] was scanned at the loading dock.\n",
		"Readings: 0.[[x]], 1.[[x]], 2.[[x]]\n",
		"Callback: 312-555-01[[n2]], extension [[n4]]\n",
		"Extension table: 301-4-[[n4]], 302-11-[[n3]]\n",
		"Order [[n3]]-[[n7]]-[[n7]] arrived\n",
		"[[x]] visitors came to the site last year, up from [[n8]].\n",
		"Wire reference [[x]] settled on [[iso]].\n",
	}
}

func itinKind() kind {
	dashed := func(p *page) string { a, g, s := itin(p); return a + "-" + g + "-" + s }
	return kind{
		typ: "ITIN",
		value: func(p *page) string {
			a, g, s := itin(p)
			switch n := p.IntN(10); {
			case n < 6:
				return a + "-" + g + "-" + s
			case n < 8:
				return a + g + s
			case n < 9:
				return a + " " + g + " " + s
			}
			return a + " - " + g + " - " + s
		},
		record: func(p *page) string {
			a, g, s := itin(p)
			if p.IntN(2) == 0 {
				return a + "-" + g + "-" + s
			}
			return a + g + s
		},
		labels: []string{
			"ITIN", "ITIN", "ITIN #", "ITIN no.", "Individual Taxpayer Identification Number", "Taxpayer ID", "Taxpayer identification number",
			"Individual Taxpayer ID", "I.T.I.N.", "Tax ID (ITIN)", "Patient ITIN", "Taxpayer ID number",
		},
		keys: []string{"itin", "ITIN", "itin_number", "taxpayer_id", "individual_taxpayer_id", "Taxpayer Identification Number"},
		prose: []string{
			"She has no SSN and files with ITIN [[v]].\n",
			"The IRS gave him the individual taxpayer identification number [[v]] last spring.\n",
			"For the financial aid form use taxpayer identification number [[v]] of [[name]].\n",
			"Guarantor [[name]], ITIN [[v]], asks for a payment plan.\n",
			"my wifes itin is [[v]] if you need it for the form\n",
			"The ITIN on the W-7 receipt reads [[v]].\n",
		},
		alone: []string{
			"Charity care application of [[name]], tax return attached, [[v]].\n",
			"Guarantor for the bill: [[name]], [[v]], [[town]]\n",
		},
		form: dashed,
		wrong: func(p *page) string {
			a, _, s := itin(p)
			groups := []int{93, 89, 66, 67, 68, 69, 10, 17, 28, 38, 45, 49}
			g := fmt.Sprint(groups[p.IntN(len(groups))])
			if p.IntN(4) == 0 {
				a, g = "1"+a[1:], fmt.Sprint(70+p.IntN(19))
			}
			return a + "-" + g + "-" + s
		},
		other: func(p *page) string { a, g, s := itin(p); return a + g + s },
		looks: []string{
			"ATIN of the child: 9[[n2]]-93-[[n4]]\n",
			"Call 9[[n2]]-555-01[[n2]] between eight and five; no ITIN is needed.\n",
			"ITIN: 9XX-XX-[[n4]]\n",
			"Employer identification number 98-[[n7]]\n",
			"An ITIN is a nine-digit number that starts with 9. Form W-7, OMB No. 1545-0074.\n",
			"Counter at [[x]] packets, no drops.\n",
			"Ship to Anchorage, AK 99501-[[n4]]\n",
			"Sum: [[x]]; mean 0.[[x]]\n",
			"ITIN application pending since [[day]]; locator [[n3]]-[[n5]]-[[n2]].\n",
			"Roll [[x]] of thermal paper was used up.\n",
			"The ITIN renewal form was sent under tracking number [[x]].\n",
		},
	}
}

func mbiKind() kind {
	dashed := func(v string) string { return v[:4] + "-" + v[4:7] + "-" + v[7:] }
	bad := func(p *page) string {
		v := []byte(mbi(p))
		switch p.IntN(4) {
		case 0:
			v[1] = 'S' // CMS's own specimens
		case 1:
			v[[]int{1, 4, 7, 8}[p.IntN(4)]] = "SLOIBZ"[p.IntN(6)]
		case 2:
			v[0] = '0'
		default:
			v[[]int{3, 6, 9, 10}[p.IntN(4)]] = "ACDEFGHJ"[p.IntN(8)]
		}
		return string(v)
	}
	return kind{
		typ: "MBI",
		value: func(p *page) string {
			v := mbi(p)
			switch n := p.IntN(10); {
			case n < 4:
				return v
			case n < 7:
				return dashed(v)
			case n < 8:
				return grouped(v, " ", 4, 3, 4)
			case n < 9:
				return strings.ToLower(v)
			}
			return strings.ToLower(dashed(v))
		},
		record: func(p *page) string {
			v := mbi(p)
			if p.IntN(4) > 0 {
				return v
			}
			return dashed(v)
		},
		field: mbi,
		labels: []string{
			"MBI", "MBI", "MBI #", "MBI number", "Medicare number", "Medicare no.", "Medicare ID", "Medicare #", "Medicare Beneficiary Identifier",
			"Medicare Beneficiary ID", "Medicare claim number", "Medicare card number",
		},
		keys: []string{"mbi", "MBI", "medicare_number", "medicare_id", "Medicare Number", "medicare_beneficiary_identifier", "MedicareID"},
		prose: []string{
			"Her new Medicare card shows [[v]].\n",
			"Medicare beneficiary [[name]], [[v]], is due for the wellness visit.\n",
			"[[name]] is covered by Medicare (number [[v]]), part B only.\n",
			"Can you check part A for MBI [[v]]?\n",
			"The Medicare number we were given, [[v]], comes back as active.\n",
		},
		fields: []string{
			msh + "PID|1||[[v]]^^^CMS^MC||[[NAME]]||19410412|F\n",
			isa + "SBR*P*18*******MB~\nNM1*IL*1*[[family]]*[[given]]****MI*[[v]]~\n",
		},
		alone: []string{
			"Eligibility for [[name]], [[v]], was confirmed on [[day]].\n",
			"[[name]]\n[[v]]\n[[street]]\n",
			"Remit for [[v]] came back with code 45.\n",
		},
		form: func(p *page) string {
			v := mbi(p)
			if p.IntN(2) == 0 {
				return v
			}
			return dashed(v)
		},
		wrong: func(p *page) string {
			v := bad(p)
			if p.IntN(2) == 0 {
				return v
			}
			return dashed(v)
		},
		looks: mbiLooks(),
	}
}

func mbiLooks() []string {
	return []string{
		"The MBI replaces the old number: 11 characters, for example 1S00-A00-AA00.\n",
		"Product key [[n4]]-[[HEX]][[n2]]-[[n4]] is used up.\n",
		"Medicare fee schedule 2026, locality 02, code 99213\n",
		"Object [[hex]][[n3]] was not found in the store.\n",
		"MBI (Mindfulness Based Intervention) group meets in room 1A22.\n",
		"Medicare number: pending\n",
		"blob [[n1]]x[[hex]][[hex]]\n",
		"Medicare help line 1-800-633-4227\n",
		"Filter for the compressor, part no. [[x]], is on back order.\n",
		"Device serial number [[x]] was returned to the maker.\n",
		"Use coupon code [[x]]A at the checkout.\n",
	}
}

func mrnKind() kind {
	value := func(p *page) string {
		switch n := p.IntN(100); {
		case n < 20:
			return p.digits(7)
		case n < 32:
			return p.digits(6)
		case n < 42:
			return p.digits(8)
		case n < 50:
			return p.shape("A9999999")
		case n < 56:
			return p.shape("AA999999")
		case n < 62:
			return "MR" + p.digits(6)
		case n < 68:
			return p.shape("999-99-99")
		case n < 74:
			return p.shape("99-99-99")
		case n < 80:
			return p.shape("A99-99999")
		case n < 89:
			return p.digits(9)
		case n < 94:
			return p.digits(5)
		}
		return "00" + p.digits(6)
	}
	return kind{
		typ: "MRN", value: value,
		labels: []string{
			"MRN", "MRN", "MRN", "MRN #", "MRN#", "Medical record number", "Medical Record No.", "Medical record #", "Med. Rec. No.", "Med Rec #",
			"MR#", "MR No.", "Chart number", "Chart #", "Chart no.", "Patient MRN", "Hospital number", "Patient ID", "Medical Record ID",
		},
		keys: []string{"mrn", "MRN", "medical_record_number", "patient_mrn", "Medical Record Number", "MedicalRecordNumber", "chart_number", "patient_id"},
		prose: []string{
			"[[name]], medical record number [[v]], was seen on [[day]].\n",
			"Please pull the chart for MRN [[v]].\n",
			"Patient [[name]] (MRN [[v]]) needs a ride home.\n",
			"I have merged the duplicate; the medical record number that stays is [[v]].\n",
			"add on for tmrw mrn [[v]] [[family]] knee\n",
			"Her medical record number at our hospital is [[v]].\n",
			"See chart no. [[v]] for the films.\n",
		},
		fields: []string{
			msh + "PID|1||[[v]]^^^NGC^MR||[[NAME]]||19670412|F\n",
			msh + "PID|1||[[v]]^^^NORTHGATE&1.2.3&ISO^MR||[[NAME]]||19670412|M\n",
		},
		looks: []string{
			"Order [[x]] was filled by the store on [[day]].\n",
			"MRN format is described in policy HIM-[[n3]], version [[n1]].[[n1]].\n",
			"MRN: not assigned\n",
			"The medical record department moved to room [[n4]].\n",
			"Accession [[x]] was read by [[doc]].\n",
			"Ticket [[x]]: the printer on 4 West is jammed.\n",
			"Budget line [[n6]], cost centre [[n4]], account executive [[given]]\n",
			"Medical records are kept for [[n2]] years.\n",
			"Server nrt-[[n5]] was patched; job [[x]] ended with 0.\n",
			"Your parcel [[x]] is with the neighbour.\n",
			"Chart of accounts, page [[n2]], line [[n5]]\n",
			"The hospital has [[n3]] beds and [[n5]] admissions a year; room number [[n3]] is free.\n",
			"Copy machine count [[n6]], toner lot [[x]]\n",
		},
	}
}

func planKind() kind {
	value := func(p *page) string {
		switch p.IntN(10) {
		case 0, 1, 2:
			return p.shape("AAA999999999")
		case 3:
			return "W" + p.digits(9)
		case 4:
			return "U" + p.digits(8) + "01"
		case 5:
			return p.digits(9)
		case 6:
			return p.digits(11)
		case 7:
			return "H" + p.digits(8)
		case 8:
			return p.shape("AAA99A999999")
		}
		return p.digits(9) + "-0" + p.of("123", 1)
	}
	return kind{
		typ: "HEALTH_PLAN_ID", value: value,
		labels: []string{
			"Member ID", "Member ID", "Member ID #", "Member number", "Member no.", "Subscriber ID", "Subscriber number", "Subscriber #", "Insurance ID",
			"Insurance policy number", "Policy number", "Policy #", "Health plan ID", "Health insurance ID", "Insured's ID", "Enrollee ID",
			"Plan member ID", "Health plan member number",
		},
		keys: []string{
			"member_id", "MemberID", "subscriber_id", "Subscriber ID", "insurance_id", "policy_number", "health_plan_id", "insurance_policy_number",
			"insured_id", "Member ID",
		},
		prose: []string{
			"Insurance is Cedar Health, member ID [[v]], group 0042.\n",
			"[[name]] is the subscriber; the subscriber ID is [[v]].\n",
			"New insurance card came in: Fernhollow Health Plan, policy number [[v]].\n",
			"Please rebill under insurance ID [[v]] for the visit of [[day]].\n",
			"my health plan member id is [[v]], the old one ended\n",
			"The plan could not find member [[name]] under member number [[v]].\n",
		},
		fields: []string{
			msh + "IN1|1|PPO^Preferred|C100|Cedar Health" + strings.Repeat("|", 32) + "[[v]]\n",
			isa + "NM1*IL*1*[[family]]*[[given]]****MI*[[v]]~\n",
		},
		looks: []string{
			"Hand hygiene is in policy HR-[[n4]], section [[n1]].[[n1]].\n",
			"Member since 20[[n2]]; points: [[n6]]\n",
			"Meeting ID: [[n3]] [[n4]] [[n4]]\n",
			"Member ID: see card\n",
			"The plan has [[n6]] members and [[n5]] providers.\n",
			"Insurance verified by phone, reference [[x]], spoke with [[given]].\n",
			"Order [[x]] for insurance card printers is late.\n",
			"Subscriber count reached [[n7]] this quarter.\n",
			"Floor plan [[n4]]-[[HEX]], sheet [[n2]]\n",
			"Parcel [[x]] holds the member handbooks.\n",
			"Health plan brochure, form no. [[n5]], rev. 03/26\n",
			"Mailing list subscriber limit: [[n9]]\n",
		},
	}
}

func medicaidKind() kind {
	value := func(p *page) string {
		return strings.ToUpper(p.shape(p.one([]string{ // New York, California, Texas and Illinois, Florida and Pennsylvania, Ohio and Georgia, Washington, North Carolina
			"AA99999A", "99999999A", "999999999", "9999999999", "999999999999", "999999999wa", "999999999A",
		})))
	}
	return kind{
		typ: "MEDICAID_ID", value: value,
		labels: []string{
			"Medicaid ID", "Medicaid ID", "Medicaid ID #", "Medicaid number", "Medicaid no.", "Medicaid #", "Medicaid recipient ID",
			"Medicaid member ID", "Medicaid CIN", "Medicaid client ID", "Medi-Cal ID", "Medi-Cal number", "Medicaid identification number",
		},
		keys: []string{"medicaid_id", "MedicaidID", "medicaid_number", "Medicaid ID", "medicaid_no", "medicaid_recipient_id"},
		prose: []string{
			"[[name]] is on Medicaid, ID [[v]], since March.\n",
			"Secondary coverage: Medicaid, recipient number [[v]].\n",
			"The Medicaid number on her card is [[v]].\n",
			"Eligibility for Medicaid ID [[v]] ended on [[day]].\n",
			"baby [[family]] has medicaid now, id [[v]]\n",
		},
		fields: []string{msh + "PID|1||[[n7]]^^^NGC^MR~[[v]]^^^NYS^MA||[[NAME]]||19670412|F\n"},
		looks: []string{
			"Medicaid rules are at 42 CFR 438.[[n3]].\n",
			"Medicaid help line 1-800-555-01[[n2]]\n",
			"Medicaid expansion covers [[n7]] people in [[n2]] states.\n",
			"Medicaid ID: none\n",
			"The Medicaid claim was sent under tracking number [[x]].\n",
			"Medicaid rate code [[n4]] pays $[[n3]].[[n2]].\n",
			"Order [[x]] of gloves arrived.\n",
			"Medicaid application submitted [[day]], confirmation number [[x]]\n",
			"Parcel [[x]] holds the forms.\n",
			"Medicaid spending rose to $[[n9]] in 2025.\n",
			"Backup [[x]] finished in [[n3]] s.\n",
		},
	}
}

func dobKind() kind {
	born := func(p *page) time.Time {
		return time.Date(1930+p.IntN(90), time.Month(1+p.IntN(12)), 1+p.IntN(28), 0, 0, 0, 0, time.UTC)
	}
	forms := []string{
		"01/02/2006", "01/02/2006", "1/2/2006", "01-02-2006", "2006-01-02", "January 2, 2006", "Jan 2, 2006", "2 January 2006", "02-Jan-2006",
		"1/2/06", "01/02/06", "01.02.2006", "20060102", "Jan. 2, 2006", "2006/01/02", "02 Jan 2006", "JAN 02 2006",
	}
	at := func(p *page) string { return born(p).Format(p.one(forms)) }
	return kind{
		typ: "DOB", value: at,
		record: func(p *page) string {
			return born(p).Format(p.one([]string{"01/02/2006", "1/2/2006", "2006-01-02", "20060102"}))
		},
		field: func(p *page) string { return born(p).Format("20060102") },
		labels: []string{
			"DOB", "DOB", "DOB", "D.O.B.", "Date of birth", "Date of Birth", "Birth date", "Birthdate", "Born", "Patient DOB", "Birthday", "Date of birth (mm/dd/yyyy)",
		},
		keys: []string{"dob", "DOB", "date_of_birth", "birth_date", "birthdate", "Date of Birth", "DateOfBirth", "patient_dob", "BirthDate"},
		prose: []string{
			"[[name]], born [[v]], was admitted with pneumonia.\n",
			"The patient was born on [[v]] in [[town]].\n",
			"Please check the date of birth of [[name]]: we have [[v]].\n",
			"[[name]] (DOB [[v]]) is a patient of [[doc]].\n",
			"Her birthday is [[v]], so the claim should go to Medicare.\n",
			"dob [[v]] per the daughter\n",
		},
		fields: []string{
			msh + "PID|1||[[n7]]^^^NGC^MR||[[NAME]]||[[v]]|F\n",
			isa + "NM1*IL*1*[[family]]*[[given]]****MI*XYZ[[n9]]~\nDMG*D8*[[v]]*F~\n",
		},
		other: func(p *page) string { return p.who.Admitted.AddDate(0, 0, p.IntN(300)).Format(p.one(forms)) },
		looks: []string{
			"Admitted [[x]], discharged [[x]].\n",
			"Date of service: [[x]]\n",
			"The next appointment is on [[x]] at 9:15.\n",
			"Visit date: [[x]]; DOB on file\n",
			"Order date [[x]], ship date [[x]]\n",
			"Expires [[x]]\n",
			"DOB: unknown\n",
			"This policy takes effect on [[x]].\n",
			"Last tetanus shot [[x]], flu shot [[x]]\n",
			"Version of [[x]], page [[n1]] of [[n2]]\n",
			"Surgery on [[x]] went well.\n",
			"Signed electronically [[x]] 14:02\n",
			"Release notes [[x]]: build [[n5]]\n",
			"Date of death: [[x]]\n",
		},
	}
}

func phoneKind() kind {
	parts := func(p *page) (area, line string) {
		areas := []string{"206", "312", "415", "503", "617", "702", "305", "214", "919", "646", "808", "907"}
		return p.one(areas), fmt.Sprintf("01%02d", p.IntN(100))
	}
	plain := func(p *page) string {
		a, l := parts(p)
		return fmt.Sprintf(p.one([]string{
			"(%s) 555-%s", "(%s) 555-%s", "%s-555-%s", "%s-555-%s", "%s.555.%s", "+1 %s 555 %s", "+1 (%s) 555-%s", "1-%s-555-%s", "+1-%s-555-%s", "(%s)555-%s",
		}), a, l)
	}
	return kind{
		typ: "PHONE",
		value: func(p *page) string {
			if p.IntN(6) == 0 {
				a, l := parts(p)
				return fmt.Sprintf(p.one([]string{"%s555%s", "%s 555 %s", "+1%s555%s", "%s/555-%s"}), a, l)
			}
			return plain(p)
		},
		labels: []string{
			"Phone", "Phone", "Tel", "Tel.", "Telephone", "Cell", "Cell phone", "Mobile", "Home phone", "Work phone", "Phone number", "Contact number",
			"Phone (home)", "Ph", "Daytime phone",
		},
		keys: []string{"phone", "Phone", "phone_number", "home_phone", "cell", "mobile", "telephone", "Phone Number", "work_phone", "contact_phone"},
		prose: []string{
			"Please call her back at [[v]] after five.\n",
			"You can reach the daughter at [[v]].\n",
			"Her phone number has changed to [[v]].\n",
			"call me [[v]] thx [[given]]\n",
			"The pharmacy's telephone is [[v]].\n",
			"Emergency contact: [[name]], cell [[v]]\n",
		},
		fields: []string{msh + "PID|1||[[n7]]^^^NGC^MR||[[NAME]]||19670412|F|||[[street]]^^[[town]]||[[v]]\n"},
		alone: []string{
			"[[name]], [[street]], [[town]], [[v]]\n",
			"[[doc]]\nNorthgate Clinic\n[[v]]\n",
			"Questions? [[v]] or the front desk.\n",
		},
		form:  plain,
		other: func(p *page) string { a, l := parts(p); return a + "555" + l },
		looks: []string{
			"Host 10.[[n2]].[[n3]].[[n2]] answered from port [[n4]].\n",
			"Patient [[name]], SSN 536-22-[[n4]]\n",
			"Phone: none\n",
			"Chapter 3.[[n2]].[[n4]] of the manual\n",
			"Extension [[n4]]\n",
			"Numbers: [[n3]], [[n3]], [[n4]]\n",
			"File [[x]].pdf was attached.\n",
			"The shipment [[x]] is in transit.\n",
			"Seen [[iso]] 10:15-10:45, room [[n3]]-[[n2]]\n",
			"Dose 0.[[x]] mg\n",
			"ISBN 978-0-[[n3]]-[[n5]]-[[n1]]\n",
			"Part [[n3]]-[[n5]]-[[n2]] was replaced.\n",
			"Pages 312-355, 401-455\n",
			"Range 1200-1500 mL, 2026-03-[[n2]]\n",
		},
	}
}
