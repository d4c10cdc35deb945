package cases

import "strings"

func npiKind() kind {
	return kind{
		typ: "NPI", value: npi,
		labels: []string{
			"NPI", "NPI", "NPI #", "NPI number", "NPI no.", "National Provider Identifier", "Provider NPI", "Rendering NPI", "Billing provider NPI",
			"Attending NPI", "N.P.I.", "Individual NPI",
		},
		keys: []string{"npi", "NPI", "provider_npi", "npi_number", "NPI Number", "billing_npi", "rendering_provider_npi", "national_provider_identifier"},
		prose: []string{
			"[[doc]], NPI [[v]], will see the patient.\n",
			"Please correct the rendering provider to NPI [[v]] and resubmit.\n",
			"Referral signed by [[doc]] (NPI [[v]]).\n",
			"whats your npi? mine is [[v]]\n",
			"The national provider identifier on the claim is [[v]].\n",
		},
		fields: []string{
			isa + "NM1*85*2*NORTHGATE CLINIC*****XX*[[v]]~\n",
			isa + "NM1*82*1*KETTLEWRIGHT*SALOME****XX*[[v]]~\n",
		},
		wrong: func(p *page) string {
			if p.IntN(3) == 0 {
				nine := p.of("3456789", 1) + p.of(digits, 8)
				return nine + luhn("80840"+nine)
			}
			return p.bumped(npi(p))
		},
		looks: []string{
			"Started at 17[[n8]], ended at 17[[n8]]\n",
			"Row [[x]] was skipped.\n",
			"NPI: pending enumeration\n",
			"Call 1[[n9]] for the NPI help desk.\n",
			"Badge [[x]] opens the side door.\n",
			"user_id=[[x]] action=login\n",
			"The NPI registry (NPPES) holds [[n7]] providers.\n",
			"Parcel [[x]] is in transit.\n",
			"Offset [[x]] of [[n10]] bytes\n",
			"The NPI application was mailed under tracking number [[x]].\n",
			"[[doc]] left a message at [[x]].\n",
		},
	}
}

func deaKind() kind {
	return kind{
		typ: "DEA",
		value: func(p *page) string {
			v := dea(p)
			switch p.IntN(12) {
			case 0:
				return strings.ToLower(v)
			case 1:
				return v[:2] + " " + v[2:]
			case 2:
				return v[:2] + "-" + v[2:]
			}
			return v
		},
		record: dea,
		labels: []string{
			"DEA", "DEA", "DEA #", "DEA#", "DEA No.", "DEA number", "DEA Reg. No.", "DEA registration number", "DEA registration", "Prescriber DEA",
			"DEA Number", "DEA license",
		},
		keys: []string{"dea", "DEA", "dea_number", "DEA Number", "prescriber_dea", "dea_no", "DEANumber", "dea_registration"},
		prose: []string{
			"[[doc]], DEA [[v]], wrote for oxycodone 5 mg, 20 tablets.\n",
			"The pharmacy needs a DEA number for the script; ours is [[v]].\n",
			"Controlled substance order signed under DEA registration [[v]].\n",
			"Prescriber [[doc]] (DEA# [[v]])\n",
			"dea [[v]] ok for the fentanyl patch\n",
			"Rx by [[doc]], [[v]] (DEA), no refills\n",
		},
		wrong: func(p *page) string {
			v := dea(p)
			if p.IntN(4) == 0 {
				return p.of("INOQVWYZ", 1) + v[1:]
			}
			return p.bumped(v)
		},
		looks: []string{
			"VAT reg. no. [[x]]\n",
			"VAT number GB[[n9]], invoice [[x]]\n",
			"The DEA changed the schedule of tramadol in 2014, see 79 FR 37623.\n",
			"DEA form 222, page [[n1]]\n",
			"Gasket [[x]] fits the autoclave.\n",
			"DEA number: none, no controlled substances\n",
			"Container [[x]] left the harbour.\n",
			"Flight [[AZ]][[AZ]][[n4]] to [[town]]\n",
			"Tote [[x]] is missing.\n",
			"Locker [[AZ]][[AZ]][[n7]]\n",
			"Ticket [[x]] closed by [[given]]\n",
			"The order of DEA forms ships under tracking number [[x]].\n",
		},
	}
}

func ndcKind() kind {
	written := func(p *page) string {
		return p.shape(p.one([]string{"9999-9999-99", "99999-999-99", "99999-9999-9", "99999-9999-99", "99999-9999-99", "99999-999-99"}))
	}
	return kind{
		typ: "NDC",
		value: func(p *page) string {
			if p.IntN(5) == 0 {
				return p.of(digits, 11)
			}
			return written(p)
		},
		field:  func(p *page) string { return p.of(digits, 11) },
		labels: []string{"NDC", "NDC", "NDC #", "NDC code", "NDC number", "NDC no.", "National Drug Code", "Drug NDC", "Product NDC", "NDC11"},
		keys:   []string{"ndc", "NDC", "ndc_code", "ndc_number", "NDC Code", "product_ndc", "national_drug_code", "drug_ndc"},
		prose: []string{
			"Dispensed metformin 500 mg, NDC [[v]], 60 tablets.\n",
			"The vial carries NDC [[v]].\n",
			"The claim was rejected because NDC [[v]] is not covered.\n",
			"Recall of lisinopril 10 mg (NDC [[v]]), all lots\n",
			"what is the ndc? bottle says ndc [[v]]\n",
		},
		fields: []string{isa + "LX*1~\nSV1*HC:J1885*40*UN*1***1~\nLIN**N4*[[v]]~\n"},
		looks: []string{
			"Zip codes 98012-[[n4]] and 98101-[[n4]]\n",
			"NDC: unknown\n",
			"Gasket [[x]] fits the autoclave.\n",
			"Callback 206-555-01[[n2]]\n",
			"NDC is maintained by the FDA, directory of [[iso]].\n",
			"ISBN 0-[[n4]]-[[n4]]-[[n1]]\n",
			"Form [[n4]]-[[n4]] (rev. 03/26)\n",
			"Nationally Determined Contribution (NDC) of 2030: [[n2]] %\n",
			"Case [[x]] was settled.\n",
			"Locker [[n5]], lock [[n4]]\n",
		},
	}
}

func icdKind() kind {
	codes := []string{ // valid in each fiscal year since 2021
		"E11.9", "J45.909", "E78.5", "N18.31", "F41.1", "K21.9", "I48.91", "S72.001A", "Z00.00", "E11.65", "J18.9", "N39.0", "R07.89", "U07.1", "G47.33",
		"C50.911", "D64.9", "I25.10", "I50.9", "J44.9", "K59.00", "L30.9", "M17.0", "M17.11", "N17.9", "R10.31", "S82.51XA", "T40.1X1A", "Z79.4",
		"E03.9", "E66.01", "G43.909", "H25.13", "I63.9", "K80.20", "C34.90", "A41.9", "C7A.00", "M1A.00X0", "Z3A.38", "Z79.82", "R50.9", "F84.0", "Q21.0",
	}
	three := []string{"I10", "B20", "G20", "J00", "O80", "Z23"}
	valid := func(p *page) string {
		switch n := p.IntN(20); {
		case n < 3:
			return strings.ReplaceAll(p.one(codes), ".", "")
		case n < 5:
			return p.one(three)
		}
		return p.one(codes)
	}
	return kind{
		typ: "ICD10", value: valid,
		field: func(p *page) string { return strings.ReplaceAll(p.one(codes), ".", "") },
		labels: []string{
			"ICD-10", "ICD-10", "ICD-10 code", "ICD10", "ICD-10-CM", "Diagnosis code", "Dx code", "Diagnosis (ICD-10)", "ICD code", "Principal diagnosis code",
			"ICD-10 Dx",
		},
		keys: []string{"icd10", "icd_10", "diagnosis_code", "dx_code", "ICD-10", "icd10_code", "Diagnosis Code", "icd_code", "dx1"},
		prose: []string{
			"Assessment: as before, ICD-10 [[v]].\n",
			"Please add diagnosis code [[v]] to the claim of [[day]].\n",
			"The claim was denied: diagnosis [[v]] does not support the test.\n",
			"dx code [[v]] pls rebill\n",
			"Principal diagnosis [[v]], admitted through the emergency room.\n",
		},
		fields: []string{
			msh + "PID|1||[[n7]]^^^NGC^MR||[[NAME]]||19670412|F\nDG1|1|I10|[[v]]^text^I10|||A\n",
			isa + "HI*ABK:[[v]]~\n",
		},
		alone: []string{
			"Impression: stable, [[v]], continue as before.\n",
			"Diabetes follow-up, [[v]]; labs in three months.\n",
		},
		form: func(p *page) string { return p.one(codes) },
		wrong: func(p *page) string { // categories that were never given out
			return p.one([]string{"E90", "E99", "T99", "D90", "P97", "C99", "H96", "K96", "U99"}) + "." + p.of(digits, 1)
		},
		other: func(p *page) string {
			if p.IntN(2) == 0 {
				return p.one(three)
			}
			return strings.ReplaceAll(p.one(codes), ".", "")
		},
		looks: []string{
			"Vitamin B12 1000 mcg weekly\n",
			"Room [[x]] is free.\n",
			"Seat [[x]], gate B[[n2]]\n",
			"Sheet A1, cells B12 to C34, D10\n",
			"Disc protrusion at L4 and L5, T12 intact\n",
			"Group A10, B20, C30; plate H12\n",
			"Highway I90 exit E15\n",
			"Paper size A4, toner C13T\n",
			"Hemoglobin A1c 7.1, T4 1.2\n",
			"Gate [[x]] opens at nine.\n",
			"Diagnosis code: to follow\n",
			"H1N1 and H5N1 were not found.\n",
			"Locker [[x]] is broken.\n",
			"Firmware E1.2.[[n2]], board F4.[[n1]].[[n1]]\n",
		},
	}
}
