//! The listeners, all of them bound before anything slow happens: a port that is taken is reported
//! at once, and a caller that comes early waits in the backlog instead of being refused.

use std::net::SocketAddr;

use shared::boot::listen;
use tokio::net::TcpListener;

use crate::error::Error;
use crate::options::{Addresses, Options, callable};

/// The listeners of one service.
pub(crate) struct Door {
    pub(crate) contract: TcpListener,
    pub(crate) admin: TcpListener,
    /// Where the contract is called from this machine.
    pub(crate) address: SocketAddr,
    /// Where metrics and health are read from this machine.
    pub(crate) admin_address: SocketAddr,
}

/// The listeners of all services.
pub(crate) struct Doors {
    pub(crate) accounts: Door,
    pub(crate) records: Door,
    pub(crate) transactions: Door,
}

impl Doors {
    pub(crate) async fn open(options: &Options) -> Result<Self, Error> {
        let (ip, ports) = (options.server.listen, options.ports);
        let door = async |service: &str, port: u16, admin: u16| {
            let (contract, address) = bind((ip, port).into(), format!("--{service}-port")).await?;
            let flag = format!("--{service}-admin-port");
            let (admin, admin_address) = bind((ip, admin).into(), flag).await?;
            Ok::<_, Error>(Door { contract, admin, address, admin_address })
        };
        Ok(Self {
            accounts: door("accounts", ports.accounts_port, ports.accounts_admin_port).await?,
            records: door("records", ports.records_port, ports.records_admin_port).await?,
            transactions: door(
                "transactions",
                ports.transactions_port,
                ports.transactions_admin_port,
            )
            .await?,
        })
    }

    pub(crate) fn addresses(&self) -> Addresses {
        Addresses {
            accounts: self.accounts.address,
            records: self.records.address,
            transactions: self.transactions.address,
        }
    }

    /// Where metrics and health are.
    pub(crate) fn admin_addresses(&self) -> Addresses {
        Addresses {
            accounts: self.accounts.admin_address,
            records: self.records.admin_address,
            transactions: self.transactions.admin_address,
        }
    }
}

async fn bind(address: SocketAddr, flag: String) -> Result<(TcpListener, SocketAddr), Error> {
    let listener = listen(address).await.map_err(|source| Error::Listen { source, flag })?;
    let bound = listener.local_addr().unwrap_or(address);
    Ok((listener, callable(bound)))
}
