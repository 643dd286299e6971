//! The table of what the service's error codes mean and how to fix them ("Common REST API error codes", "Blob service
//! error codes"; the details of authentication errors are as the service words them).

use super::super::auth::Authorization;
use super::super::commands::{Account, Shell};
use super::super::said::Said;
use crate::source::location::ContainerUrl;

/// The role that reading requires, and where to assign it.
pub(super) const ROLE: &str = "assign the role 'Storage Blob Data Reader' on the storage account (not on the container); \
                               it can take 5 minutes to take effect";

/// What an error is about, apart from its code.
pub(super) struct Case<'a> {
    pub status: u16,
    pub code: &'a str,
    pub said: &'a Said,
    pub url: &'a ContainerUrl,
    pub authorization: &'a Authorization,
}

/// Which errors a row is for.
#[derive(Clone, Copy)]
enum When {
    Always,
    /// The credential is the account's key.
    Key,
    /// The credential is a SAS.
    Sas,
    /// The credential is a token.
    Token,
    /// There is no credential.
    Anonymous,
    /// The endpoint is an emulator's, or the account is in its path.
    Emulator,
    /// The endpoint is the account's read-only secondary.
    Secondary,
    /// The API's version is not supported.
    Version,
    /// The service's words contain one of these, in lower case.
    Says(&'static [&'static str]),
}

/// Codes, when the row applies, why the request failed, and how to fix it. `{…}` is filled in.
type Row = (&'static [&'static str], &'static [When], &'static str, &'static str);

use When::{Always, Anonymous, Emulator, Key, Sas, Says, Secondary, Token, Version};

const NEW_SAS: &str = "create a SAS for the container with the permissions read and list (sr=c, sp=rl)";
const COPY_SAS: &str = "copy the whole SAS again and quote it; a tool may have decoded or encoded a part of it, such as \
                        '+' in its signature, which is %2B in a URL";
const CLOCK: &str = "synchronize this machine's clock: timedatectl set-ntp true";
const MANAGED_KEY: &str =
    "customer-managed key (Storage account, Encryption); nothing can be read until it is back";

/// The first row that fits counts.
const ROWS: &[Row] = &[
    // The version of the API.
    (
        &["InvalidHeaderValue", "UnsupportedHeader", "UnsupportedRestVersion", "FeatureVersionMismatch"],
        &[Version],
        "the service does not support the version of the API that was asked for",
        "choose an older one with --api-version, such as 2019-07-07 on Azure Stack Hub, or update the emulator",
    ),
    (
        &["FeatureVersionMismatch"],
        &[Always],
        "something in the container needs a newer version of the API",
        "choose a newer one with --api-version",
    ),
    (
        &[
            "InvalidHeaderValue",
            "UnsupportedHeader",
            "MissingRequiredHeader",
            "InvalidMetadata",
            "MetadataTooLarge",
        ],
        &[Always],
        "the service does not accept a header {subject}",
        "a proxy or gateway may add or change headers: list the host in NO_PROXY, or ask who runs it",
    ),
    // Network and account.
    (
        &["AuthorizationSourceIPMismatch"],
        &[Always],
        "the SAS is for other IP addresses",
        "create a SAS for {address} (sip), or for any address",
    ),
    (&["AuthorizationFailure"], &[Anonymous], "the service refused it", "sign in with {sign in}"),
    // An emulator has no network rules, and refuses a wrong credential with this code.
    (
        &["AuthorizationFailure"],
        &[Emulator, Key],
        "the key is wrong, or network rules block this machine",
        "check that the key belongs to this account; then check the account's network rules",
    ),
    (
        &["AuthorizationFailure"],
        &[Emulator, Sas],
        "the SAS is not accepted, or network rules block this machine",
        "copy the whole SAS, or create one for this container with this account's key; then check the account's network \
         rules",
    ),
    (
        &["AuthorizationFailure"],
        &[Emulator],
        "the token is not accepted, or network rules block this machine",
        "check the identity and its role; then check the account's network rules",
    ),
    (
        &["AuthorizationFailure", "NetworkSecurityPerimeterDenied"],
        &[Always],
        "the account's network rules block this machine, or the credential does not cover this container",
        "add this machine's address in the account's Networking settings, or run inside its network; if that does not \
         help, check that the credential is for this account",
    ),
    (
        &["AccountIsDisabled"],
        &[Always],
        "the storage account is disabled",
        "check its subscription in the Azure portal: it may be suspended or past due",
    ),
    (
        &["AccountBeingCreated"],
        &[Always],
        "the storage account is still being created",
        "wait a minute, then try again",
    ),
    (
        &["InsufficientAccountPermissions"],
        &[Secondary],
        "the account has no secondary that can be read",
        "leave out '-secondary' in the URL, or give the account read access to its secondary (RA-GRS or RA-GZRS)",
    ),
    (&["InsufficientAccountPermissions"], &[Sas], "the SAS does not allow it", NEW_SAS),
    (
        &["InsufficientAccountPermissions"],
        &[Token],
        "the identity has no permission to read and list blobs",
        ROLE,
    ),
    (
        &["InsufficientAccountPermissions"],
        &[Always],
        "the account does not allow this operation",
        "check in the portal whether it is suspended, being failed over, or read-only",
    ),
    (
        &["KeyVaultEncryptionKeyNotFound"],
        &[Always],
        "the key that encrypts the account is gone from its vault",
        "recover it (az keyvault key recover), or set another {managed key}",
    ),
    (
        &["KeyVaultVaultNotFound"],
        &[Always],
        "the vault with the key that encrypts the account is gone",
        "recover it (az keyvault recover), or set another {managed key}",
    ),
    (
        &["KeyVaultAccessTokenCannotBeAcquired"],
        &[Always],
        "the account cannot sign in to the vault with the key that encrypts it",
        "check that its managed identity exists, and that it has the role 'Key Vault Crypto Service Encryption User' on \
         the vault; this is the account's {managed key}",
    ),
    // Shared access signatures.
    (
        &["AuthenticationFailed", "AuthorizationPermissionMismatch", "AuthorizationFailure"],
        &[Sas, Says(&["directory depth", "sdd"])],
        "the SAS is for a folder, and the listing starts above it",
        "add the folder to the URL as a prefix with a '/' at its end, or create a SAS for the container (sr=c)",
    ),
    (
        &["AuthenticationFailed"],
        &[Sas, Says(&["key time frame"])],
        "the user delegation key of the SAS has expired",
        "create a new SAS: such a key is valid for at most 7 days",
    ),
    (
        &["AuthenticationFailed"],
        &[Sas, Says(&["specified time frame"])],
        "the SAS has expired, or is not valid yet",
        "create a new SAS; if it should be valid, check this machine's clock and the one where it was made",
    ),
    (
        &["AuthenticationFailed"],
        &[Sas, Says(&["access policy", "signedidentifier", "signed identifier"])],
        "the stored access policy of the SAS is gone",
        "create the policy again, or a new SAS: {policies}",
    ),
    (
        &["AuthenticationFailed"],
        &[Sas, Says(&["not well formed"])],
        "the SAS was damaged on its way",
        COPY_SAS,
    ),
    (
        &["AuthenticationFailed"],
        &[Sas, Says(&["did not match", "is not the same"])],
        "the signature of the SAS does not fit",
        "create a new SAS with a current key of this account, for this container: its key was rotated, or one of its \
         fields was changed or cut",
    ),
    (&["AuthorizationPermissionMismatch"], &[Sas], "the SAS or its access policy does not allow it", NEW_SAS),
    (&["AuthorizationProtocolMismatch"], &[Always], "the SAS is for https only", "use https in the URL"),
    (
        &["AuthorizationServiceMismatch", "AuthorizationResourceTypeMismatch"],
        &[Always],
        "the SAS is not for the containers and blobs of this account",
        "create an account SAS with ss=b and srt=co, or a SAS for the container",
    ),
    (
        &["InvalidQueryParameterValue", "MissingRequiredQueryParameter", "AuthenticationFailed"],
        &[Sas, Says(&["sv=", "signed version", "se is mandatory", "sp is mandatory", "mandatory"])],
        "the SAS lacks a field",
        COPY_SAS,
    ),
    (
        &["InvalidQueryParameterValue", "OutOfRangeQueryParameterValue", "MissingRequiredQueryParameter"],
        &[Sas],
        "the service does not accept a field {subject} of the URL, which is probably one of the SAS",
        "create a new SAS, or copy it again: its fields cannot be changed",
    ),
    (
        &["AuthenticationFailed"],
        &[Sas],
        "the SAS is not accepted",
        "check that it was copied in full and that its key \
        or policy has not changed; check this machine's clock",
    ),
    // Keys.
    (
        &["KeyBasedAuthenticationNotPermitted"],
        &[Always],
        "the account does not allow keys, or a SAS signed with one",
        "sign in with Entra ID: az login, then --auth cli",
    ),
    (
        &["AuthenticationFailed"],
        &[Key, Says(&["date header", "too old", "x-ms-date", "clock"])],
        "this machine's clock differs from the service's by more than 15 minutes",
        CLOCK,
    ),
    (&["AuthenticationFailed"], &[Key], "the key is wrong", "{keys}; check this machine's clock"),
    // Tokens.
    (
        &["InvalidAuthenticationInfo", "AuthenticationFailed"],
        &[Token, Says(&["issuer", "tenant", "authority"])],
        "the token is from another tenant than the account's",
        "{tenant}",
    ),
    (
        &["InvalidAuthenticationInfo", "AuthenticationFailed"],
        &[Token, Says(&["audience"])],
        "the token is for another service or cloud",
        "sign in to the account's cloud (az cloud set), or set AZURE_AUTHORITY_HOST",
    ),
    (
        &["InvalidAuthenticationInfo", "AuthenticationFailed"],
        &[Token, Says(&["lifetime", "expired", "not yet valid", "time frame"])],
        "the token has expired, or is not valid yet",
        "sign in again (az login), and check this machine's clock",
    ),
    (
        &["AuthorizationPermissionMismatch", "AuthorizationPermissionDenied"],
        &[Always],
        "the identity has no permission to read and list blobs",
        ROLE,
    ),
    // What is public.
    (&["PublicAccessNotPermitted"], &[Always], "the account does not allow it", "sign in with {sign in}"),
    // Requests that the service does not take.
    (&["AccountRequiresHttps"], &[Always], "the account accepts https only", "use https:// in the URL"),
    (
        &["InvalidResourceName", "OutOfRangeInput", "InvalidUri", "InvalidInput", "RequestUrlFailedToParse"],
        &[Always],
        "the service rejects a name in the URL",
        "check the account name, the container name and the prefix",
    ),
    (
        &["OutOfRangeQueryParameterValue", "InvalidQueryParameterValue", "UnsupportedQueryParameter"],
        &[Always],
        "the service does not accept a parameter {subject} of a listing",
        "if something other than Azure responds there, check that it supports List Blobs; otherwise report this",
    ),
    (
        &[
            "BlobApiNotYetSupportedForHierarchicalNamespaceAccounts",
            "FeatureNotYetSupportedForHierarchicalNamespaceAccounts",
            "EndpointUnsupportedAccountFeatures",
            "FeatureUnsupportedForAccount",
        ],
        &[Always],
        "the account has a feature, such as a hierarchical namespace, that the blob endpoint does not support there",
        "check the account's features in the portal, or copy the container to an account without them",
    ),
    (
        &["ContainerDisabled"],
        &[Always],
        "the container was disabled by its administrator or by Azure",
        "ask the account's owner, or Azure's support",
    ),
    (
        &["ContainerBeingDeleted"],
        &[Always],
        "the container is being deleted",
        "wait until it is deleted or created again",
    ),
    (
        &["ConditionNotMet", "ConditionHeadersNotSupported", "MultipleConditionHeadersNotSupported"],
        &[Always],
        "a condition that presync did not set is not met",
        "a proxy or cache may add conditions to requests: list the host in NO_PROXY",
    ),
    (
        &["ServerBusy", "InternalError", "OperationTimedOut"],
        &[Always],
        "the service is unavailable",
        "try again later; see https://status.azure.com for outages",
    ),
];

/// Why a request failed and the hint, if the table has a row for it.
pub(super) fn find(case: &Case<'_>) -> Option<(String, String)> {
    let fits = |row: &&Row| row.0.contains(&case.code) && row.1.iter().all(|when| case.is(*when));
    let (_, _, why, hint) = ROWS.iter().find(fits)?;
    Some((case.fill(why), case.fill(hint)))
}

impl Case<'_> {
    fn is(&self, when: When) -> bool {
        match (when, self.authorization) {
            (Always, _)
            | (Key, Authorization::Key(_))
            | (Sas, Authorization::Sas(_))
            | (Token, Authorization::Token(_))
            | (Anonymous, Authorization::Anonymous) => true,
            (Emulator, _) => self.url.is_emulator(),
            (Secondary, _) => self.url.endpoint().contains("-secondary"),
            (Version, _) => self.said.is_version(),
            (Says(texts), _) => self.said.mentions(texts),
            (Key | Sas | Token | Anonymous, _) => false,
        }
    }

    fn fill(&self, text: &str) -> String {
        let az = Account::named(self.url.account());
        let keys = "check that the key belongs to this account and has not been rotated";
        let keys = match self.url.is_emulator() {
            true => keys.to_owned(),
            false => format!("{keys}: {}", az.list_keys().line(Shell::Bash)),
        };
        let policies = az.list_policies(self.url.container()).line(Shell::Bash);
        let tenant = match self.said.tenant.as_str() {
            "" => {
                "sign in to the account's tenant: az login --tenant TENANT, or set AZURE_TENANT_ID".to_owned()
            }
            id => format!(
                "sign in to the account's tenant: az login --tenant {id}, or set AZURE_TENANT_ID={id}"
            ),
        };
        let subject = match self.said.subject.as_str() {
            "" => String::new(),
            name => format!(" '{name}'"),
        };
        // The address in "… using this source IP 203.0.113.7."
        let address = self.said.message.split_once("source IP ").map_or("", |(_, rest)| rest);
        let address = match address.split(' ').next().unwrap_or_default().trim_end_matches('.') {
            "" => "this machine's address",
            address => address,
        };
        let text = text
            .replace("{keys}", &keys)
            .replace("{policies}", &policies)
            .replace("{tenant}", &tenant)
            .replace(" {subject}", &subject);
        let text = text.replace("{address}", address);
        text.replace("{managed key}", MANAGED_KEY).replace("{sign in}", sign_in(self.url))
    }
}

/// The ways to sign in. Over plain http, a SAS and a token could be read by anyone on the way.
pub(super) fn sign_in(url: &ContainerUrl) -> &'static str {
    match (url.is_https(), url.is_emulator()) {
        (true, _) => "az login, AZURE_STORAGE_KEY, AZURE_STORAGE_CONNECTION_STRING or a SAS in the URL",
        (false, true) => {
            "AZURE_STORAGE_KEY, AZURE_STORAGE_CONNECTION_STRING or a SAS in the URL (Entra ID needs https)"
        }
        (false, false) => {
            "AZURE_STORAGE_KEY or AZURE_STORAGE_CONNECTION_STRING, or use https (Entra ID and a SAS need it)"
        }
    }
}
