//! Pure: reads bundles of CA certificates. An error never contains a character of the bundle, which may hold a private key.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{PemObject as _, SectionKind};

/// Parses a bundle of PEM certificates, each of which can be a trust anchor. Text around the certificates is allowed, as
/// `openssl x509 -text` writes it; any other PEM section is not.
///
/// # Errors
/// A message that names `field`, what was found and the remedy.
pub fn parse_bundle(field: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    parse(pem).map_err(|found| {
        format!(
            "the value under {field} {found}: put the certificates of the CA there as PEM, each from \
             -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----, and nothing else"
        )
    })
}

/// These certificates as PEM.
pub fn to_pem(certificates: &[CertificateDer<'_>]) -> Vec<u8> {
    let section = |certificate: &CertificateDer<'_>| {
        let body = BASE64_STANDARD.encode(certificate);
        format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
    };
    certificates.iter().map(section).collect::<String>().into_bytes()
}

/// The error continues "the value".
fn parse(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let total = count_certificates(pem)?;
    let mut roots = RootCertStore::empty();
    let mut certificates = Vec::with_capacity(total);
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(pem) {
        let certificate = match section {
            Ok((SectionKind::Certificate, der)) => CertificateDer::from(der),
            _ => break,
        };
        if roots.add(certificate.clone()).is_err() {
            break;
        }
        certificates.push(certificate);
    }
    if certificates.len() == total {
        Ok(certificates)
    } else {
        let number = certificates.len() + 1;
        Err(format!(
            "is damaged: certificate {number} of {total} cannot be parsed"
        ))
    }
}

/// Counts the lines that begin a certificate, and rejects those that begin anything else.
fn count_certificates(pem: &[u8]) -> Result<usize, String> {
    let lines = pem.split(|byte| [b'\n', b'\r'].contains(byte));
    let begins: Vec<String> = lines
        .map(String::from_utf8_lossy)
        .filter(|line| line.contains("-----BEGIN"))
        .map(Cow::into_owned)
        .collect();
    if begins.iter().any(|line| line.contains("PRIVATE KEY")) {
        return Err("holds a private key".into());
    }
    if begins.iter().any(|line| !line.contains("BEGIN CERTIFICATE-----")) {
        return Err("holds a PEM section that is not a certificate".into());
    }
    match (begins.len(), std::str::from_utf8(pem)) {
        (0, Err(_)) => Err("holds binary data (perhaps DER), not PEM".into()),
        (0, Ok(_)) => Err("holds no certificate".into()),
        (total, _) => Ok(total),
    }
}

#[cfg(test)]
mod tests {
    use super::{parse_bundle, to_pem};
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;

    // Self-signed CAs, from `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 36500`.
    const ONE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBczCCARmgAwIBAgIUDLxidayVPdJTkMN4bPtZUdFDaaswCgYIKoZIzj0EAwIw
DjEMMAoGA1UEAwwDb25lMCAXDTI2MTEyNjE3MTMwNloYDzIxMjYxMTAyMTcxMzA2
WjAOMQwwCgYDVQQDDANvbmUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAATrF+Jt
h5FL6dd2t+a2SNVVz8nLrxdMSLLDoB/SGWCt2hFc67nYXB+UpXOBiZSKNoz7drBX
4U69M99gL/r/pNwFo1MwUTAdBgNVHQ4EFgQUxW4RetZTEUyopYcgkAQG0SLQBQEw
HwYDVR0jBBgwFoAUxW4RetZTEUyopYcgkAQG0SLQBQEwDwYDVR0TAQH/BAUwAwEB
/zAKBggqhkjOPQQDAgNIADBFAiEA1+phWZbM/ayQ5MqpN4ADlNbRb351r5O69ZT9
hn1RUUUCIAEQ1T/2G8AScOnZUcn+55MMQ0fNYREe9OYVTAd1mW6Z
-----END CERTIFICATE-----
";
    const TWO: &str = "\
-----BEGIN CERTIFICATE-----
MIIBcjCCARmgAwIBAgIUc7WiLAm9RVrD3401F/BVnHPq7x8wCgYIKoZIzj0EAwIw
DjEMMAoGA1UEAwwDdHdvMCAXDTI2MTEyNjE3MTMwNloYDzIxMjYxMTAyMTcxMzA2
WjAOMQwwCgYDVQQDDAN0d28wWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQdMiN3
P9IK5FAi4UPYqo7aUFABEUG/8RHZpJUJgjpk7QnJFFEtQTtqpPdv4rDaPiyNYVk9
gj5w0XilFnOLKWQpo1MwUTAdBgNVHQ4EFgQUCfieXu8yldo93NOzI9fBR19uPEMw
HwYDVR0jBBgwFoAUCfieXu8yldo93NOzI9fBR19uPEMwDwYDVR0TAQH/BAUwAwEB
/zAKBggqhkjOPQQDAgNHADBEAiBuum4x33slPhx8/Fr3D50qmHDJBUe9ZdjnOrKY
QW8HlAIgJGOCDTm8No0G5QwQ7ytsfIJSMnTonBAA752gosBt1Y8=
-----END CERTIFICATE-----
";
    /// Looks like a private key.
    const KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
        bm90IGEga2V5IGJ1dCBhIHNlbnRlbmNlIHRoYXQgbG9va3MgbGlrZSBvbmUgaW4gYmFzZTY0\n\
        -----END PRIVATE KEY-----\n";

    /// The base64 text of a section.
    fn body(pem: &str) -> String {
        pem.lines().filter(|line| !line.contains("-----")).collect()
    }

    fn section(label: &str, body: &str) -> String {
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    }

    #[test]
    fn certificates_are_read_and_text_around_them_is_dropped() {
        let bundle = format!(
            "# the first\r\n{}Subject: second\n{TWO}",
            ONE.replace('\n', "\r\n")
        );
        let certificates = parse_bundle("f", bundle.as_bytes()).unwrap();
        assert_eq!(certificates.len(), 2);
        let pem = String::from_utf8(to_pem(&certificates)).unwrap();
        assert!(!pem.contains("second") && !pem.contains("the first"));
        assert_eq!(parse_bundle("f", pem.as_bytes()).unwrap(), certificates);
    }

    /// Bundles in which nothing or something else is found, and what a message says of them.
    fn other_bundles() -> Vec<(Vec<u8>, &'static str)> {
        let text = |text: String, found| (text.into_bytes(), found);
        let der = BASE64_STANDARD.decode(body(ONE)).unwrap();
        vec![
            text(String::new(), "holds no certificate"),
            text("rubbish of nobody".into(), "holds no certificate"),
            text(body(ONE), "holds no certificate"),
            (der, "holds binary data"),
            text(KEY.into(), "holds a private key"),
            text(format!("{ONE}{KEY}"), "holds a private key"),
            text(format!("{KEY}{ONE}"), "holds a private key"),
            text(
                section("ENCRYPTED PRIVATE KEY", &body(KEY)),
                "holds a private key",
            ),
            text(
                format!("{ONE}{}", KEY.replace("-----END", "")),
                "holds a private key",
            ),
            text(section("TRUSTED CERTIFICATE", &body(ONE)), "not a certificate"),
            text(section("CERTIFICATE REQUEST", &body(ONE)), "not a certificate"),
            text(
                format!("{ONE}{}", section("X509 CRL", &body(TWO))),
                "not a certificate",
            ),
            text(
                ONE.replace("CERTIFICATE-----", "CERTIFICATE----"),
                "not a certificate",
            ),
        ]
    }

    /// Bundles with a damaged certificate, and its number of how many.
    fn damaged_bundles() -> Vec<(Vec<u8>, &'static str)> {
        let text = |text: String, found| (text.into_bytes(), found);
        let half = section("CERTIFICATE", &body(ONE)[..200]);
        let without_end = |pem: &str| pem.replace("-----END CERTIFICATE-----\n", "");
        vec![
            text(half.clone(), "certificate 1 of 1 cannot be parsed"),
            text(section("CERTIFICATE", &body(KEY)), "certificate 1 of 1 cannot"),
            text(section("CERTIFICATE", ""), "certificate 1 of 1 cannot"),
            text(
                section("CERTIFICATE", &format!("{}!", body(ONE))),
                "certificate 1 of 1 cannot",
            ),
            text(format!("  {ONE}"), "certificate 1 of 1 cannot"),
            text(format!("{ONE}{half}{TWO}"), "certificate 2 of 3 cannot"),
            text(format!("{ONE}{}", without_end(TWO)), "certificate 2 of 2 cannot"),
            text(format!("{}{TWO}", without_end(ONE)), "certificate 1 of 2 cannot"),
        ]
    }

    #[test]
    fn everything_else_is_rejected_without_its_content() {
        for (pem, found) in [other_bundles(), damaged_bundles()].concat() {
            let message = parse_bundle("spec.x.caKey", &pem).unwrap_err();
            assert!(message.contains(found), "{message} instead of {found}");
            assert!(message.contains("spec.x.caKey"), "{message}");
            for piece in [body(ONE), body(TWO), body(KEY), "rubbish of nobody".into()] {
                let pieces = piece.as_bytes().windows(8).map(String::from_utf8_lossy);
                assert!(pieces.into_iter().all(|p| !message.contains(&*p)), "{message}");
            }
        }
    }
}
