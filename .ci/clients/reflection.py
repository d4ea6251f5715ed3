"""A client that knows Strongroom by reflection alone: no stubs, no .proto files.

    reflection.py ACCOUNTS RECORDS TRANSACTIONS     each as host:port; a bearer token in TOKEN

It opens accounts, moves money, reads the balance, and understands a refusal.
"""

import os
import sys
import uuid

import grpc
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

TIMEOUT = 10
SHARED = {
    "grpc.health.v1.Health",
    "strongroom.outcomes.v1.OutcomeService",
    "strongroom.tenants.v1.TenantService",
}


class Service:
    """One server, and what its reflection says."""

    def __init__(self, address):
        self.channel = grpc.insecure_channel(address)
        self.pool = descriptor_pool.DescriptorPool(ProtoReflectionDescriptorDatabase(self.channel))

    def message(self, name):
        return message_factory.GetMessageClass(self.pool.FindMessageTypeByName(name))

    def call(self, method, request, token=os.environ.get("TOKEN")):
        """Calls `package.Service/Method` with a dict, and gives a dict."""
        service, name = method.split("/")
        contract = self.pool.FindServiceByName(service).FindMethodByName(name)
        answer = message_factory.GetMessageClass(contract.output_type)
        message = message_factory.GetMessageClass(contract.input_type)()
        stub = self.channel.unary_unary(
            f"/{method}",
            request_serializer=type(message).SerializeToString,
            response_deserializer=answer.FromString,
        )
        metadata = [("authorization", f"Bearer {token}")] if token else []
        json_format.ParseDict(request, message)
        return json_format.MessageToDict(stub(message, metadata=metadata, timeout=TIMEOUT))

    def refusal(self, method, request, **options):
        """The code, the reason and the figures with which a call is refused."""
        try:
            answer = self.call(method, request, **options)
        except grpc.RpcError as error:
            trailers = dict(error.trailing_metadata())
            status = self.message("google.rpc.Status").FromString(
                trailers["grpc-status-details-bin"]
            )
            info = self.message("google.rpc.ErrorInfo")()
            found = [detail for detail in status.details if detail.Unpack(info)]
            assert len(found) == 1, status
            assert info.domain == "strongroom", info
            return error.code(), info.reason, dict(info.metadata)
        raise AssertionError(f"{method} was not refused: {answer}")

    def services(self, version):
        """What one version of reflection lists beside itself; both have the same messages."""
        stub = self.channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        answer = next(stub(iter([request]), timeout=TIMEOUT))
        listed = {service.name for service in answer.list_services_response.service}
        return listed - {f"grpc.reflection.{version}.ServerReflection"}


def request_id():
    return str(uuid.uuid4())


def euros(amount):
    return {"currency": "EUR", "amount": amount}


def main():
    accounts, records, transactions = map(Service, sys.argv[1:])

    for service in (accounts, records, transactions):
        listed = service.services("v1")
        assert listed == service.services("v1alpha"), listed
        assert SHARED < listed, listed

    create_account = "strongroom.accounts.v1.AccountService/CreateAccount"
    create_transfer = "strongroom.transactions.v1.TransactionService/CreateTransfer"
    get_balance = "strongroom.transactions.v1.BalanceService/GetBalance"

    customer = accounts.call(
        "strongroom.accounts.v1.CustomerService/CreateCustomer",
        {
            "customer": {"kind": "KIND_PERSON", "profile": {"fullName": "Ada Lovelace"}},
            "requestId": request_id(),
        },
    )
    assert customer["state"] == "STATE_ACTIVE", customer
    held = accounts.call(
        create_account,
        {
            "account": {"customer": customer["name"], "product": "current", "currency": "EUR"},
            "requestId": request_id(),
        },
    )
    assert held["state"] == "STATE_OPEN", held
    house = accounts.call(
        create_account,
        {
            "account": {
                "product": "cash",
                "currency": "EUR",
                "class": "ACCOUNT_CLASS_ASSET",
                "overdraft": {"unbounded": True},
            },
            "requestId": request_id(),
        },
    )

    deposit = {
        "from": house["name"],
        "to": held["name"],
        "amount": euros("100.00"),
        "requestId": request_id(),
    }
    posted = transactions.call(create_transfer, deposit)
    assert transactions.call(create_transfer, deposit)["name"] == posted["name"]
    spend = {"from": held["name"], "to": house["name"], "requestId": request_id()}
    transactions.call(create_transfer, spend | {"amount": euros("39.5")})
    balance = transactions.call(get_balance, {"account": held["name"]})
    assert balance["available"] == euros("60.50"), balance
    assert balance["entrySeq"] == "2", balance

    overdraft = spend | {"amount": euros("60.51"), "requestId": request_id()}
    code, reason, figures = transactions.refusal(create_transfer, overdraft)
    assert (code, reason) == (grpc.StatusCode.FAILED_PRECONDITION, "INSUFFICIENT_FUNDS"), reason
    assert figures["shortfall"] == "0.01", figures
    code, reason, _ = transactions.refusal(get_balance, {"account": held["name"]}, token="forged")
    assert (code, reason) == (grpc.StatusCode.UNAUTHENTICATED, "TOKEN_INVALID"), reason

    print(f"{held['name']} holds {balance['available']['amount']} EUR")


if __name__ == "__main__":
    main()
