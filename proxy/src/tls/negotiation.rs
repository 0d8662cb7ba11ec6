//! What the parts of a handshake leave behind for its log record.
//!
//! The TLS library asks for a certificate and has the client's checked deep inside
//! the handshake, and keeps the answers to itself; of a handshake that fails
//! nothing is left at all. So both write down here, in the task that performs it.

use std::{cell::Cell, sync::Arc};

use super::{
    certificates::LoadedCertificate, client_certificate::ClientCertificate, verify_status::VerifyStatus,
};

tokio::task_local! {
    static NOTES: Notes;
}

/// What is known of one handshake.
#[derive(Default)]
pub(super) struct Notes {
    /// The certificate that was chosen for the client.
    pub(super) certificate: Cell<Option<Arc<LoadedCertificate>>>,
    /// The client's certificate, accepted or not.
    pub(super) client_certificate: Cell<Option<Arc<ClientCertificate>>>,
    /// Why the client's certificate was not accepted.
    pub(super) refused: Cell<Option<VerifyStatus>>,
}

/// Performs a handshake; its result, and what was noted in it.
///
/// # Cancel safety
///
/// As `handshake`; the notes are lost with it.
pub(super) async fn noting<T>(handshake: impl Future<Output = T>) -> (T, Notes) {
    let whole = async {
        let result = handshake.await;
        let notes = NOTES.with(|notes| Notes {
            certificate: Cell::new(notes.certificate.take()),
            client_certificate: Cell::new(notes.client_certificate.take()),
            refused: Cell::new(notes.refused.take()),
        });
        (result, notes)
    };
    NOTES.scope(Notes::default(), whole).await
}

/// Notes the certificate chosen for the client. Outside of [`noting`] nothing happens.
pub(super) fn note_certificate(certificate: &Arc<LoadedCertificate>) {
    note(|notes| notes.certificate.set(Some(Arc::clone(certificate))));
}

/// Notes the client's certificate. Outside of [`noting`] nothing happens.
pub(super) fn note_client_certificate(certificate: ClientCertificate) {
    note(|notes| notes.client_certificate.set(Some(Arc::new(certificate))));
}

/// Notes why the client's certificate was refused. Outside of [`noting`] nothing happens.
pub(super) fn note_refusal(status: VerifyStatus) {
    note(|notes| notes.refused.set(Some(status)));
}

fn note(write: impl FnOnce(&Notes)) {
    // An error means that nobody listens, as in a unit test.
    NOTES.try_with(write).unwrap_or_default();
}
