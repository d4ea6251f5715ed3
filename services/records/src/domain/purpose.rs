//! Purposes of use: what a reader says that the content is for.

use shared::problem::{Problem, Reason};

/// HL7 v3 `PurposeOfUse` as FHIR R4 has it, without its root
/// (<http://terminology.hl7.org/ValueSet/v3-PurposeOfUse>). FRAUD is among them.
const HEALTH: &str = "\
    HMARKT HOPERAT CAREMGT DONAT FRAUD GOV HACCRED HCOMPL HDECD HDIRECT HDM HLEGAL HOUTCOMS \
    HPRGRP HQUALIMP HSYSADMIN LABELING METAMGT MEMADMIN MILCDM PATADMIN PATSFTY PERFMSR \
    RECORDMGT SYSDEV HTEST TRAIN HPAYMT CLMATTCH COVAUTH COVERAGE ELIGDTRM ELIGVER ENROLLM \
    MILDCRG REMITADV HRESCH BIORCH CLINTRCH CLINTRCHNPC CLINTRCHPC PRECLINTRCH DSRCH POARCH \
    TRANSRCH PATRQT FAMRQT PWATRNY SUPNWK PUBHLTH DISASTER THREAT TREAT CLINTRL COC ETREAT \
    BTG ERTREAT POPHLTH";

/// What finance needs beside them.
const FINANCE: &str = "KYC AML SUPPORT SUBJECT_REQUEST LEGAL AUDIT";

/// That of a person who asks for what is about that person.
const SUBJECT_REQUEST: &str = "SUBJECT_REQUEST";

/// Those for which the data of a restricted subject may still be used.
const LEGAL: &[&str] = &["LEGAL", "HLEGAL"];

fn codes() -> impl Iterator<Item = &'static str> {
    HEALTH.split(' ').chain(FINANCE.split(' '))
}

/// A purpose of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Purpose(&'static str);

impl Purpose {
    /// Reads a code. None given is `PURPOSE_REQUIRED`, an unknown one `PURPOSE_UNKNOWN`.
    pub(crate) fn parse(code: &str) -> Result<Self, Problem> {
        if code.is_empty() {
            let message = "must be given: content leaves only for a purpose";
            return Err(Problem::new(Reason::PurposeRequired, message).in_field("purpose"));
        }
        codes().find(|known| *known == code).map(Self).ok_or_else(|| {
            let message = "must be an HL7 v3 PurposeOfUse code, or KYC, AML, FRAUD, SUPPORT, \
                           SUBJECT_REQUEST, LEGAL or AUDIT";
            Problem::new(Reason::PurposeUnknown, message).in_field("purpose")
        })
    }

    /// The code.
    pub(crate) fn code(self) -> &'static str {
        self.0
    }

    /// Whether the person has asked for the content.
    pub(crate) fn is_request_of_subject(self) -> bool {
        self.0 == SUBJECT_REQUEST
    }

    /// Whether it is a legal one.
    pub(crate) fn is_legal(self) -> bool {
        LEGAL.contains(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_exact() {
        for code in ["TREAT", "HPAYMT", "HOPERAT", "KYC", "AML", "FRAUD", "SUBJECT_REQUEST"] {
            assert_eq!(Purpose::parse(code).unwrap().code(), code);
        }
        assert_eq!(Purpose::parse("").unwrap_err().reason, Reason::PurposeRequired);
        for code in ["treat", " TREAT", "PurposeOfUse", "CURIOSITY"] {
            assert_eq!(Purpose::parse(code).unwrap_err().reason, Reason::PurposeUnknown, "{code}");
        }
    }

    #[test]
    fn no_code_is_there_twice() {
        let distinct: std::collections::BTreeSet<_> = codes().collect();
        assert_eq!((distinct.len(), codes().count()), (65, 65));
        assert!(distinct.iter().all(|code| !code.is_empty()));
        assert!(LEGAL.iter().all(|code| Purpose::parse(code).is_ok_and(Purpose::is_legal)));
    }
}
