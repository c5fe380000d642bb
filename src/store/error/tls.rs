//! Pure: what a failed TLS handshake with the database means, and what to issue or change.

use rustls::{CertificateError, Error};

/// What happened, and the remedy.
pub(super) type Diagnosis = (String, &'static str);

const CA_AS_SERVER: &str = "issue a certificate for the server with CA:FALSE in its basicConstraints and the host in its subjectAltName, signed by \
     an authority or by its own key, and put the certificate of its signer under spec.database.secretRef.caKey";
const NO_TLS: &str = "sslmode in the URL or spec.database.secretRef.caKey requires TLS: turn TLS on there, or remove what requires it";
const ISSUER: &str = "put the certificate of the authority that signed the server's certificate under spec.database.secretRef.caKey; if it is \
     there, the server does not send its intermediate certificates: append them to its certificate file (ssl_cert_file of PostgreSQL), or \
     put them under that key too";
const PROTOCOL: &str =
    "spec.database.secretRef.caKey asks for TLS 1.2 or newer from a server that wants no certificate of ours";

/// The driver's own error, before the handshake.
pub(super) fn refused(error: &str) -> Diagnosis {
    if error.contains("does not support TLS") {
        ("the server does not support TLS".into(), NO_TLS)
    } else {
        (error.to_owned(), ISSUER)
    }
}

/// The handshake, which this client aborted or the server refused.
pub(super) fn failed(error: &Error) -> Diagnosis {
    let Error::InvalidCertificate(certificate) = error else {
        return (error.to_string(), PROTOCOL);
    };
    let (what, remedy) = rejected(certificate);
    let what = match what {
        "" => format!("the server's certificate was rejected: {error}"),
        what => format!("the server's certificate {what}"),
    };
    (what, remedy)
}

/// What is wrong with a certificate (empty: what its error says), and the remedy.
fn rejected(error: &CertificateError) -> (&'static str, &'static str) {
    use CertificateError::{
        BadEncoding, BadSignature, Expired, ExpiredContext, InvalidPurpose, InvalidPurposeContext,
        NotValidForName, NotValidForNameContext, NotValidYet, NotValidYetContext, UnknownIssuer,
    };
    match error {
        Expired | ExpiredContext { .. } => (
            "has expired",
            "renew the server's certificate; spec.database.secretRef.caKey asks for one that is valid",
        ),
        NotValidYet | NotValidYetContext { .. } => (
            "is not valid yet",
            "set the clock here or there right, or give the server a certificate that is valid already; \
             spec.database.secretRef.caKey asks for that",
        ),
        NotValidForName | NotValidForNameContext { .. } => (
            "names another host",
            "the server's certificate must name the host in the URL under spec.database.secretRef.urlKey in its subjectAltName; \
             spec.database.secretRef.caKey asks for that",
        ),
        UnknownIssuer => ("is signed by an unknown authority", ISSUER),
        BadSignature => (
            "is not signed by the authority that it names: perhaps an authority of the same name was made anew",
            ISSUER,
        ),
        BadEncoding => (
            "cannot be parsed",
            "issue the server's certificate anew, as X.509 version 3; spec.database.secretRef.caKey asks for that",
        ),
        InvalidPurpose | InvalidPurposeContext { .. } => (
            "may not be used for a server",
            "issue it with serverAuth in its extendedKeyUsage; spec.database.secretRef.caKey asks for that",
        ),
        // The reason has no type of its own here: it belongs to the library that checks certificates.
        CertificateError::Other(other) if format!("{other:?}").contains("CaUsedAsEndEntity") => {
            ("is that of an authority (CA:TRUE)", CA_AS_SERVER)
        }
        CertificateError::Other(other) if format!("{other:?}").contains("UnsupportedCertVersion") => (
            "is not of X.509 version 3",
            "issue it anew with a subjectAltName, which makes it version 3; spec.database.secretRef.caKey asks for that",
        ),
        _ => ("", ISSUER),
    }
}
