//! What a launch is to go by, besides what is stored.

use crate::domain::campaigns::audience::{Audience, AudienceForm, NobodyNamed};
use crate::store::campaigns::launch;
use crate::store::{Conn, StoreError};

/// What a launch is to go by, besides what is stored.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// Replaces the draft's audience.
    pub audience: Option<Audience>,
    /// The fingerprint of a preflight: nothing may have changed since.
    pub preflight: Option<String>,
}

impl Terms {
    /// Leaves out contacts that the audience names and that do not exist; how many there were.
    ///
    /// # Errors
    /// The query failed; inside: nobody else is named.
    pub fn skip_missing(&mut self, conn: &mut Conn) -> Result<Result<usize, NobodyNamed>, StoreError> {
        let Some(mut audience) = self.audience.take() else { return Ok(Ok(0)) };
        let missing = launch::forget_missing_contacts(conn, &mut audience)?;
        let others = Audience::try_from(AudienceForm::from(audience));
        Ok(others.map(|others| {
            self.audience = Some(others);
            missing
        }))
    }
}
