//! What the steps of all rotations share.

use std::time::Duration;

use diesel::PgConnection;
use serde::Serialize;
use serde::de::DeserializeOwned;
use shared::db::Scope;
use shared::deadline::Deadline;
use shared::ids::TenantId;

use crate::domain::rotation::{Rotation, RotationState, Step};
use crate::error::Error;
use crate::rpc::Rpc;
use crate::store::events::{self, Event};
use crate::store::rotations;

/// How long the queries of a step may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The scope of a step's units of work.
pub(super) fn scope(tenant: TenantId) -> Scope {
    Scope::tenant(tenant, Deadline::after(TIMEOUT))
}

/// A rotation, as it was when the step began.
pub(super) struct Job<'a> {
    pub(super) rpc: &'a Rpc,
    pub(super) tenant: TenantId,
    pub(super) rotation: Rotation,
}

/// Where a rotation stands after a step.
#[derive(Debug, Clone)]
pub(super) enum Next<P> {
    /// There.
    At(P),
    /// There, and there is nothing to be done at the moment.
    Waits(P),
    /// Through.
    End,
}

/// A place as the table has it.
pub(super) fn text(place: &impl Serialize) -> String {
    // Plain data with string keys always serialises.
    serde_json::to_string(place).unwrap_or_default()
}

impl Job<'_> {
    /// Where the rotation stands. A place that another version of the service wrote is none: then
    /// it begins anew, which does no harm.
    pub(super) fn place<P: DeserializeOwned>(&self, start: P) -> P {
        serde_json::from_str(&self.rotation.place).unwrap_or(start)
    }

    /// Reads in one snapshot.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        name: &'static str,
        read: impl Fn(&mut PgConnection) -> Result<T, Error> + Send + Sync + 'static,
    ) -> Result<T, Error> {
        self.rpc.db.read(name, scope(self.tenant), read).await
    }

    /// Writes down what a step made, with how far the rotation is after it, and says whether there
    /// is more to do at once. Where another replica was faster nothing is written.
    pub(super) async fn commit<P>(
        &self,
        name: &'static str,
        write: impl Fn(&mut PgConnection) -> Result<(Step, Next<P>), Error> + Send + Sync + 'static,
    ) -> Result<bool, Error>
    where
        P: Serialize + 'static,
    {
        let (tenant, old, clock) = (self.tenant, self.rotation.clone(), self.rpc.clock.clone());
        let commit = move |conn: &mut PgConnection| {
            let (step, next) = write(conn)?;
            let now = clock.now();
            let (new, more) = match next {
                Next::At(place) => (old.moved(text(&place), &step, now), true),
                Next::Waits(place) => (old.moved(text(&place), &step, now), false),
                Next::End => (old.moved(String::new(), &step, now).ended(now), false),
            };
            if !rotations::advance(conn, tenant, &old, &new)? {
                return Err(Error::Overtaken);
            }
            if new.state != RotationState::Running {
                events::record(conn, tenant, &done(tenant, &new))?;
            }
            Ok((new, more))
        };
        match self.rpc.db.write(name, scope(self.tenant), commit).await {
            Ok((rotation, more)) => {
                self.tell(&rotation);
                Ok(more)
            }
            Err(Error::Overtaken) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn tell(&self, rotation: &Rotation) {
        let (tenant, id) = (self.tenant, rotation.id);
        match rotation.state {
            RotationState::Running => return,
            RotationState::Done => tracing::info!(%tenant, rotation = %id, "a rotation is done"),
            RotationState::Incomplete => {
                let broken = rotation.broken.len();
                tracing::error!(%tenant, rotation = %id, broken, "some of it does not open");
            }
        }
        self.rpc.nudge.tenant(tenant);
    }
}

fn done(tenant: TenantId, rotation: &Rotation) -> Event {
    Event::new(tenant, "rotation.done", rotation.id.name(), rotation.update_time)
        .with("scope", rotation.scope.name())
        .with("state", rotation.state.name())
        .with("broken", rotation.broken.len())
}

/// What opens, or none where it does not. A provider that is away ends the step.
pub(super) fn opened<T>(result: Result<T, impl Into<Error>>) -> Result<Option<T>, Error> {
    match result.map_err(Into::into) {
        Ok(opened) => Ok(Some(opened)),
        Err(error) if error.is_broken() => Ok(None),
        Err(error) => Err(error),
    }
}
