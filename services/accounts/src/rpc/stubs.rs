//! To be replaced, file by file.

pub(super) mod batch_get_accounts {
    use strongroom_proto::accounts::v1 as wire;
    use tonic::{Request, Response, Status};
    pub(in crate::rpc) async fn call(
        _: &crate::rpc::Rpc,
        _: Request<wire::BatchGetAccountsRequest>,
    ) -> Result<Response<wire::BatchGetAccountsResponse>, Status> {
        Err(Status::unimplemented("NOT YET"))
    }
}

pub(super) mod update_account {
    use strongroom_proto::accounts::v1 as wire;
    use tonic::{Request, Response, Status};
    pub(in crate::rpc) async fn call(
        _: &crate::rpc::Rpc,
        _: Request<wire::UpdateAccountRequest>,
    ) -> Result<Response<wire::Account>, Status> {
        Err(Status::unimplemented("NOT YET"))
    }
}

pub(super) mod add_holder {
    use strongroom_proto::accounts::v1 as wire;
    use tonic::{Request, Response, Status};
    pub(in crate::rpc) async fn call(
        _: &crate::rpc::Rpc,
        _: Request<wire::AddHolderRequest>,
    ) -> Result<Response<wire::Holder>, Status> {
        Err(Status::unimplemented("NOT YET"))
    }
}

pub(super) mod update_holder {
    use strongroom_proto::accounts::v1 as wire;
    use tonic::{Request, Response, Status};
    pub(in crate::rpc) async fn call(
        _: &crate::rpc::Rpc,
        _: Request<wire::UpdateHolderRequest>,
    ) -> Result<Response<wire::Holder>, Status> {
        Err(Status::unimplemented("NOT YET"))
    }
}

pub(super) mod remove_holder {
    use strongroom_proto::accounts::v1 as wire;
    use tonic::{Request, Response, Status};
    pub(in crate::rpc) async fn call(
        _: &crate::rpc::Rpc,
        _: Request<wire::RemoveHolderRequest>,
    ) -> Result<Response<wire::Holder>, Status> {
        Err(Status::unimplemented("NOT YET"))
    }
}

pub(super) mod list_holders {
    use strongroom_proto::accounts::v1 as wire;
    use tonic::{Request, Response, Status};
    pub(in crate::rpc) async fn call(
        _: &crate::rpc::Rpc,
        _: Request<wire::ListHoldersRequest>,
    ) -> Result<Response<wire::ListHoldersResponse>, Status> {
        Err(Status::unimplemented("NOT YET"))
    }
}

pub(super) mod freeze_account {
    use strongroom_proto::accounts::v1 as wire;
    use tonic::{Request, Response, Status};
    pub(in crate::rpc) async fn call(
        _: &crate::rpc::Rpc,
        _: Request<wire::FreezeAccountRequest>,
    ) -> Result<Response<wire::Freeze>, Status> {
        Err(Status::unimplemented("NOT YET"))
    }
}

pub(super) mod unfreeze_account {
    use strongroom_proto::accounts::v1 as wire;
    use tonic::{Request, Response, Status};
    pub(in crate::rpc) async fn call(
        _: &crate::rpc::Rpc,
        _: Request<wire::UnfreezeAccountRequest>,
    ) -> Result<Response<wire::Freeze>, Status> {
        Err(Status::unimplemented("NOT YET"))
    }
}

pub(super) mod get_freeze {
    use strongroom_proto::accounts::v1 as wire;
    use tonic::{Request, Response, Status};
    pub(in crate::rpc) async fn call(
        _: &crate::rpc::Rpc,
        _: Request<wire::GetFreezeRequest>,
    ) -> Result<Response<wire::Freeze>, Status> {
        Err(Status::unimplemented("NOT YET"))
    }
}

pub(super) mod list_freezes {
    use strongroom_proto::accounts::v1 as wire;
    use tonic::{Request, Response, Status};
    pub(in crate::rpc) async fn call(
        _: &crate::rpc::Rpc,
        _: Request<wire::ListFreezesRequest>,
    ) -> Result<Response<wire::ListFreezesResponse>, Status> {
        Err(Status::unimplemented("NOT YET"))
    }
}

pub(super) mod set_limits {
    use strongroom_proto::accounts::v1 as wire;
    use tonic::{Request, Response, Status};
    pub(in crate::rpc) async fn call(
        _: &crate::rpc::Rpc,
        _: Request<wire::SetLimitsRequest>,
    ) -> Result<Response<wire::Account>, Status> {
        Err(Status::unimplemented("NOT YET"))
    }
}

pub(super) mod mark_dormant {
    use strongroom_proto::accounts::v1 as wire;
    use tonic::{Request, Response, Status};
    pub(in crate::rpc) async fn call(
        _: &crate::rpc::Rpc,
        _: Request<wire::MarkDormantRequest>,
    ) -> Result<Response<wire::Account>, Status> {
        Err(Status::unimplemented("NOT YET"))
    }
}

pub(super) mod reactivate_account {
    use strongroom_proto::accounts::v1 as wire;
    use tonic::{Request, Response, Status};
    pub(in crate::rpc) async fn call(
        _: &crate::rpc::Rpc,
        _: Request<wire::ReactivateAccountRequest>,
    ) -> Result<Response<wire::Account>, Status> {
        Err(Status::unimplemented("NOT YET"))
    }
}

pub(super) mod close_account {
    use strongroom_proto::accounts::v1 as wire;
    use tonic::{Request, Response, Status};
    pub(in crate::rpc) async fn call(
        _: &crate::rpc::Rpc,
        _: Request<wire::CloseAccountRequest>,
    ) -> Result<Response<wire::Account>, Status> {
        Err(Status::unimplemented("NOT YET"))
    }
}

pub(super) mod reopen_account {
    use strongroom_proto::accounts::v1 as wire;
    use tonic::{Request, Response, Status};
    pub(in crate::rpc) async fn call(
        _: &crate::rpc::Rpc,
        _: Request<wire::ReopenAccountRequest>,
    ) -> Result<Response<wire::Account>, Status> {
        Err(Status::unimplemented("NOT YET"))
    }
}

pub(super) mod list_undelivered_controls {
    use strongroom_proto::accounts::v1 as wire;
    use tonic::{Request, Response, Status};
    pub(in crate::rpc) async fn call(
        _: &crate::rpc::Rpc,
        _: Request<wire::ListUndeliveredControlsRequest>,
    ) -> Result<Response<wire::ListUndeliveredControlsResponse>, Status> {
        Err(Status::unimplemented("NOT YET"))
    }
}

pub(super) mod freeze_customer {
    use strongroom_proto::accounts::v1 as wire;
    use tonic::{Request, Response, Status};
    pub(in crate::rpc) async fn call(
        _: &crate::rpc::Rpc,
        _: Request<wire::FreezeCustomerRequest>,
    ) -> Result<Response<wire::Freeze>, Status> {
        Err(Status::unimplemented("NOT YET"))
    }
}

pub(super) mod unfreeze_customer {
    use strongroom_proto::accounts::v1 as wire;
    use tonic::{Request, Response, Status};
    pub(in crate::rpc) async fn call(
        _: &crate::rpc::Rpc,
        _: Request<wire::UnfreezeCustomerRequest>,
    ) -> Result<Response<wire::Freeze>, Status> {
        Err(Status::unimplemented("NOT YET"))
    }
}
