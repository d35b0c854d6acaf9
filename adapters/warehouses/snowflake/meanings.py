"""What the numbers, SQLSTATEs and classes of Snowflake's errors mean, and the grant or setting that mends each.

How they are told apart and raised is ``errors``'s.
"""

from __future__ import annotations

import attrs

from pipeline.domain.errors import PipelineError, WarehouseError, WarehouseRejected, WarehouseUnreachable


@attrs.frozen
class Meaning:
    """What an error means: ``error`` is raised, ``hint`` says what mends it, and if ``is_transient`` the same call may
    succeed in a moment, in a new session where the old one is gone.
    """

    what: str
    error: type[PipelineError]
    hint: str
    is_transient: bool = False


LOST = Meaning(
    "the connection was lost",
    WarehouseUnreachable,
    "Run it again: it goes on from the checkpoint.",
    is_transient=True,
)
NO_ANSWER = Meaning(
    "the account gave no answer",
    WarehouseUnreachable,
    "Check account, host, proxy and network; status.snowflake.com tells of the service.",
    is_transient=True,
)
_WRONG_ACCOUNT = Meaning(
    "no account answers at this address",
    WarehouseUnreachable,
    "Write the account as ORGANIZATION-ACCOUNT, without .snowflakecomputing.com; let a proxy or firewall pass it.",
)
CERTIFICATE = Meaning(
    "the server's certificate is not trusted",
    WarehouseRejected,
    "Where a proxy opens TLS, let REQUESTS_CA_BUNDLE name a file with its certificate authority.",
)
_SESSION_OVER = Meaning(
    "the session has ended", WarehouseUnreachable, "Run it again: it signs in anew.", is_transient=True
)
REFUSED = Meaning(
    "signing in was refused",
    WarehouseRejected,
    "Look the user up in LOGIN_HISTORY, which says why; try the same credentials with another client.",
)
_PASSWORD = Meaning("user or password is wrong", WarehouseRejected, "Correct them; too many tries lock the user.")
_PASSWORD_ALONE = Meaning(
    "a password alone does not sign this user in",
    WarehouseRejected,
    "Make it a user of TYPE = SERVICE and sign in with private_key_file, a programmatic access token, OAuth or "
    "workload_identity_provider.",
)
_POLICY = Meaning(
    "the authentication policy does not allow this way to sign in",
    WarehouseRejected,
    "Add the method to AUTHENTICATION_METHODS of the user's authentication policy, or sign in another way.",
)
_DISABLED = Meaning("the user is disabled", WarehouseRejected, "ALTER USER <user> SET DISABLED = FALSE.")
_LOCKED_OUT = Meaning(
    "the user is locked after too many failed tries",
    WarehouseRejected,
    "Wait 15 minutes or ALTER USER <user> SET MINS_TO_UNLOCK = 0, and correct the credentials before the next try.",
)
_NETWORK = Meaning(
    "the network policy does not let this address in",
    WarehouseRejected,
    "Add the machine's outgoing address to the network policy of the account or of the user.",
)
_KEY = Meaning(
    "the key pair was not accepted",
    WarehouseRejected,
    "ALTER USER <user> SET RSA_PUBLIC_KEY = '...' with the public half of this key; compare account and user, and this "
    "machine's clock.",
)
_ACCESS_TOKEN = Meaning(
    "the programmatic access token was not accepted",
    WarehouseRejected,
    "Make a new one with ALTER USER <user> ADD PROGRAMMATIC ACCESS TOKEN; the user needs a network policy.",
)
_OAUTH = Meaning(
    "the OAuth token has expired or is not valid",
    WarehouseRejected,
    "Give a new one, or use a way that renews itself: oauth_client_credentials or a key pair.",
)
_ROLE = Meaning("the role does not exist or is not the user's", WarehouseRejected, "GRANT ROLE <role> TO USER <user>.")
_WORKLOAD = Meaning(
    "the platform gave no identity to sign in with",
    WarehouseRejected,
    "Run where the workload identity is attached, and compare workload_identity_provider.",
)
_OPTIONS = Meaning("the connector refuses the options", WarehouseRejected, "Compare the warehouse's options.")

_PRIVILEGE = Meaning(
    "a privilege is missing", WarehouseRejected, "Run doctor: it names what is missing and the grant that mends it."
)
_MISSING = Meaning(
    "an object does not exist, or the role may not see it",
    WarehouseRejected,
    "Run doctor: it compares database, warehouse, schemas and grants.",
)
_NO_WAREHOUSE = Meaning(
    "no warehouse runs statements for this session",
    WarehouseRejected,
    "Name an existing warehouse, and GRANT USAGE ON WAREHOUSE <warehouse> TO ROLE <role>.",
)
_SUSPENDED = Meaning(
    "the warehouse is suspended and does not resume by itself",
    WarehouseRejected,
    "ALTER WAREHOUSE <warehouse> SET AUTO_RESUME = TRUE.",
)
_QUOTA = Meaning(
    "the warehouse may not resume: a resource monitor has used up its quota",
    WarehouseRejected,
    "Raise the monitor's CREDIT_QUOTA, or name another warehouse.",
)
LOCKED, LOCKED_STATE = 625, "57014"
_LOCK = Meaning(
    "another session holds a lock on the table",
    WarehouseUnreachable,
    "Let nobody else write to the pipeline's tables; SHOW LOCKS IN ACCOUNT names the session.",
    is_transient=True,
)
_TOO_LONG = Meaning(
    "a statement took longer than its time-out",
    WarehouseError,
    "Raise statement_timeout or the warehouse's size, or lower the batch limits.",
)
_CANCELLED = Meaning(
    "a statement was cancelled",
    WarehouseError,
    "If nobody did so, raise statement_timeout here and STATEMENT_TIMEOUT_IN_SECONDS of the warehouse.",
)
_INTERNAL = Meaning(
    "the service failed inside", WarehouseUnreachable, "Run it again; if it stays, ask Snowflake.", is_transient=True
)
_UPLOAD = Meaning(
    "a file could not be brought to or from the stage",
    WarehouseUnreachable,
    "Let the machine reach the stage's storage (SELECT SYSTEM$ALLOWLIST() lists its hosts).",
    is_transient=True,
)
_DUPLICATES = Meaning("a MERGE met a key twice", WarehouseError, "Nothing was loaded. Report it: it is a defect.")
FILES = Meaning(
    "a file on this machine could not be read or written",
    WarehouseError,
    "Check work_folder, its free space, and the files that the warehouse's options name.",
)
FAILED = Meaning(
    "a statement failed", WarehouseError, "Look it up in the query history of the user; nothing of the load was kept."
)

#: Numbers are in the connector's ``errorcode.py`` and ``network.py`` or in Snowflake's and drivers' public documents;
#: those marked "unconfirmed" are from memory alone and decide no more than the words and the hint.
MEANINGS: dict[int, Meaning] = {
    number: meaning
    for meaning, numbers in (
        (LOST, (250002, 250003, 250005, 251011, 251012, 252007, 252010, 252013)),
        (NO_ANSWER, (250001,)),
        (_WRONG_ACCOUNT, (290404,)),
        (_SESSION_OVER, (290401, 390104, 390110, 390111, 390112, 390113, 390114, 390115)),
        (_PASSWORD, (390100,)),
        (_PASSWORD_ALONE, (390197, 394508)),  # 390197 (enrol in MFA) unconfirmed
        (_POLICY, (390202,)),
        (_DISABLED, (390101,)),
        (_LOCKED_OUT, (390102,)),
        (_NETWORK, (390422,)),
        (_KEY, (251008, 390144, *range(394300, 394308))),
        (_ACCESS_TOKEN, (394400,)),
        (_OAUTH, (390303, 390318)),
        (_ROLE, (390186, 390189, 3013)),
        (_WORKLOAD, (251017, 251018, 251021)),
        (_OPTIONS, (251001, 251005, 251006, 251007, 251009, 251013, 251020)),
        (_PRIVILEGE, (3001,)),
        (_MISSING, (2003, 2043, 90105, 90106)),
        (_NO_WAREHOUSE, (606,)),
        (_SUSPENDED, (608,)),
        (_QUOTA, (90073,)),
        (_LOCK, (LOCKED,)),  # too many waiters; for a LOCK_TIMEOUT that ran out see BY_STATE
        (_TOO_LONG, (630,)),
        (_CANCELLED, (604,)),
        (_INTERNAL, (603,)),
        (_UPLOAD, (253002, 253003)),
        (FILES, (253005, 253006)),
        (_DUPLICATES, (100090,)),
    )
    for number in numbers
}

#: By the connector's class, for errors whose number says nothing.
BY_CLASS: dict[str, Meaning] = {
    "ForbiddenError": _WRONG_ACCOUNT,
    "RevocationCheckError": CERTIFICATE,
    "NonRetryableTlsError": CERTIFICATE,
    "RequestExceedMaxRetryError": _UPLOAD,
    "TokenExpiredError": _UPLOAD,
    "PresignedUrlExpiredError": _UPLOAD,
    "BindUploadError": _UPLOAD,
    "ConfigSourceError": _OPTIONS,
    "ConfigManagerError": _OPTIONS,
}

#: By the beginning of SQLSTATE, for numbers that are not in the table.
BY_STATE: dict[str, Meaning] = {
    "08": LOST,
    "28": REFUSED,
    "40": _LOCK,
    "42501": _PRIVILEGE,
    "42S02": _MISSING,
    "57P03": _NO_WAREHOUSE,
    LOCKED_STATE: _LOCK,  # its other causes, cancelling and the statement's time-out, are known by number
    "XX": _INTERNAL,
}
