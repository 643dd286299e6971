use std::ffi::OsStr;

use super::find::{CONNECTION, KEYS, SAS_TOKENS};
use super::*;

use crate::source::azure::http::Client;
use crate::source::location::Location;

const ACCOUNT: &str = "AZURE_STORAGE_ACCOUNT";
const KEY: &str = KEYS[0].0;
const SAS_TOKEN: &str = SAS_TOKENS[0].0;
const SECRET: &str = "c2VjcmV0IGtleQ==";
const URL: &str = "https://media.blob.core.windows.net/cam";
const LOCAL: &str = "http://127.0.0.1:10000/devstoreaccount1/cam";

fn resolve(mode: AuthMode, url: &str, variables: &[(&str, &str)]) -> Result<Credential> {
    let env = Environment::of(variables.iter().copied());
    let Location::Container(url) = Location::parse(OsStr::new(url), None, &env)? else { panic!("{url}") };
    let found = Credential::resolve(mode, &url, &env, &Transport::new(Arc::new(Client::new())));
    assert!(!format!("{found:?}").contains(SECRET), "{found:?}");
    found
}

fn label(mode: AuthMode, url: &str, variables: &[(&str, &str)]) -> String {
    resolve(mode, url, variables).unwrap().label()
}

fn error(mode: AuthMode, url: &str, variables: &[(&str, &str)]) -> String {
    resolve(mode, url, variables).unwrap_err().message().to_owned()
}

#[test]
fn auto_takes_the_first_that_fits() {
    let connection = format!("AccountName=media;AccountKey={SECRET}");
    let all = [
        (CONNECTION, connection.as_str()),
        (KEY, SECRET),
        (SAS_TOKEN, "?sp=rl&sig=x"),
        (TENANT_ID, "t"),
        (CLIENT_ID, "c"),
        (CLIENT_SECRET, "s"),
        ("IDENTITY_ENDPOINT", "http://127.0.0.1:1/"),
        ("IDENTITY_HEADER", "h"),
    ];
    let with_sas = format!("{URL}?sp=rl&sig=y");
    assert_eq!(label(AuthMode::Auto, &with_sas, &all), "SAS in the URL");
    assert_eq!(label(AuthMode::Auto, URL, &all), "shared key (AZURE_STORAGE_CONNECTION_STRING)");
    assert_eq!(label(AuthMode::Auto, URL, &all[1..]), "shared key (AZURE_STORAGE_KEY)");
    assert_eq!(label(AuthMode::Auto, URL, &all[2..]), "SAS (AZURE_STORAGE_SAS_TOKEN)");
    assert_eq!(label(AuthMode::Auto, URL, &all[3..]), "service principal (AZURE_CLIENT_SECRET)");
    assert_eq!(label(AuthMode::Auto, URL, &[]), "no credential (none was found)");
    assert_eq!(label(AuthMode::Key, &with_sas, &all), "shared key (AZURE_STORAGE_CONNECTION_STRING)");
    assert_eq!(label(AuthMode::Sas, URL, &all), "SAS (AZURE_STORAGE_SAS_TOKEN)");
    assert_eq!(label(AuthMode::Anonymous, URL, &all), "anonymous");
}

#[test]
fn auto_takes_the_identities_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["az", "token"] {
        std::fs::write(folder.path().join(name), "").unwrap();
    }
    let (path, file) = (folder.path().to_str().unwrap(), folder.path().join("token"));
    let all = [
        (TENANT_ID, "t"),
        (CLIENT_ID, "c"),
        (CLIENT_SECRET, "s"),
        (TOKEN_FILE, file.to_str().unwrap()),
        ("IDENTITY_ENDPOINT", "http://127.0.0.1:1/"),
        ("PATH", path),
    ];
    let without = |names: &[&str]| {
        let left: Vec<_> = all.into_iter().filter(|(name, _)| !names.contains(name)).collect();
        label(AuthMode::Auto, URL, &left)
    };
    assert_eq!(without(&[]), "service principal (AZURE_CLIENT_SECRET)");
    assert_eq!(without(&[CLIENT_SECRET]), "workload identity (AZURE_FEDERATED_TOKEN_FILE)");
    assert_eq!(without(&[CLIENT_SECRET, TOKEN_FILE, "PATH"]), "managed identity");
    assert_eq!(without(&[CLIENT_SECRET, TOKEN_FILE, "IDENTITY_ENDPOINT"]), "Azure CLI");
    assert_eq!(
        without(&[CLIENT_SECRET, TOKEN_FILE, "IDENTITY_ENDPOINT", "PATH"]),
        "no credential (none was found)"
    );
    // Of those that cannot be told apart before one is asked, the first that returns a token is used.
    std::fs::write(folder.path().join("azd"), "").unwrap();
    assert_eq!(without(&[CLIENT_SECRET, TOKEN_FILE]), "managed identity or Azure CLI or Azure Developer CLI");
}

#[test]
fn auto_passes_over_what_it_cannot_use_and_says_so() {
    let passed_over = |variables: &[(&str, &str)]| {
        let found = resolve(AuthMode::Auto, URL, variables).unwrap();
        assert_eq!(found.label(), "no credential (none was found)");
        found.passed_over().join("\n")
    };
    let unset = "not set up: AZURE_CLIENT_SECRET, AZURE_CLIENT_CERTIFICATE_PATH, federated token, managed \
                 identity, Azure CLI (az), Azure Developer CLI (azd)";
    assert_eq!(passed_over(&[]).lines().next(), Some(unset));
    for (variables, why) in [
        (
            &[(CLIENT_ID, "c"), (CLIENT_SECRET, "s")][..],
            "AZURE_CLIENT_SECRET: this sign-in needs AZURE_TENANT_ID",
        ),
        (
            &[(TENANT_ID, "t"), (CLIENT_ID, "c"), (CERTIFICATE, "/nowhere/a.pem")],
            "AZURE_CLIENT_CERTIFICATE_PATH: cannot read the certificate file '/nowhere/a.pem'",
        ),
        (
            &[(TENANT_ID, "t"), (CLIENT_ID, "c"), (TOKEN_FILE, "/nowhere/token")],
            "federated token: cannot read the token file '/nowhere/token'",
        ),
        (
            &[("ACTIONS_ID_TOKEN_REQUEST_URL", "https://x.test/"), ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "y")],
            "federated token: this sign-in needs AZURE_TENANT_ID, AZURE_CLIENT_ID",
        ),
        (
            &[("AZURESUBSCRIPTION_SERVICE_CONNECTION_ID", "1")],
            "federated token: this sign-in needs AZURESUBSCRIPTION_TENANT_ID, AZURESUBSCRIPTION_CLIENT_ID, \
             SYSTEM_ACCESSTOKEN, SYSTEM_OIDCREQUESTURI",
        ),
        (
            &[
                ("IDENTITY_ENDPOINT", "http://127.0.0.1:1/"),
                ("IDENTITY_HEADER", "h"),
                ("IDENTITY_SERVER_THUMBPRINT", "t"),
            ],
            "managed identity: the managed identity of Service Fabric is not supported",
        ),
        (&[("AZURE_USERNAME", "u"), ("AZURE_PASSWORD", "p")], "signing in with a password is not supported"),
        (
            &[(ACCOUNT, "other"), (KEY, SECRET)],
            "AZURE_STORAGE_KEY: it is for the account 'other', not for 'media'",
        ),
        (
            &[(CONNECTION, "AccountName=other;AccountKey=eA==")],
            "CONNECTION_STRING: it is for another account",
        ),
    ] {
        let passed_over = passed_over(variables);
        let first = passed_over.lines().next().unwrap();
        assert!(first.starts_with("set, but not usable: ") && first.contains(why), "{first}");
    }
    let broken =
        [(CLIENT_ID, "c"), (CLIENT_SECRET, "s"), (TENANT_ID, "t~"), ("AZURE_FEDERATED_TOKEN_FILE", "/x")];
    assert_eq!(passed_over(&broken).lines().next().unwrap().matches("is not a tenant ID").count(), 2);
}

#[test]
fn names_of_other_tools_are_taken() {
    for name in ["AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY"] {
        assert_eq!(label(AuthMode::Auto, URL, &[(name, SECRET)]), format!("shared key ({name})"));
        let other = [("AZURE_STORAGE_ACCOUNT_NAME", "other"), (name, SECRET)];
        assert!(error(AuthMode::Key, URL, &other).contains(&format!("{name} is for the account")));
    }
    let all = [(KEY, SECRET), (CLIENT_SECRET, "s"), (TENANT_ID, "t"), (CLIENT_ID, "c")];
    let mode =
        |value| label(AuthMode::Auto, URL, &[&all[..], &[("AZURE_STORAGE_AUTH_MODE", value)]].concat());
    assert_eq!(mode("login"), "service principal (AZURE_CLIENT_SECRET)");
    assert_eq!(mode("key"), "shared key (AZURE_STORAGE_KEY)");
    assert_eq!(
        label(AuthMode::Auto, URL, &[("AZURE_STORAGE_SAS_KEY", "sig=x")]),
        "SAS (AZURE_STORAGE_SAS_KEY)"
    );
}

#[test]
fn what_belongs_to_another_account_is_not_used() {
    let other = format!("AccountName=other;AccountKey={SECRET}");
    assert_eq!(label(AuthMode::Auto, URL, &[(CONNECTION, &other)]), "no credential (none was found)");
    let key = [(ACCOUNT, "other"), (KEY, SECRET), (SAS_TOKEN, "sig=x")];
    assert_eq!(label(AuthMode::Auto, URL, &key), "no credential (none was found)");
    assert!(error(AuthMode::Key, URL, &key).contains("not for 'media'"));
}

#[test]
fn what_was_asked_for_and_is_missing_is_named() {
    assert_eq!(
        error(AuthMode::ClientSecret, URL, &[(CLIENT_ID, "c")]),
        "this sign-in needs AZURE_TENANT_ID, AZURE_CLIENT_SECRET"
    );
    assert!(error(AuthMode::WorkloadIdentity, URL, &[]).contains(TOKEN_FILE));
    assert!(error(AuthMode::Cli, URL, &[("PATH", "/nowhere")]).contains("(az)"));
    assert!(error(AuthMode::Key, URL, &[]).contains("no key"));
    assert!(error(AuthMode::Sas, URL, &[]).contains("no SAS"));
    assert!(error(AuthMode::Auto, URL, &[(KEY, "not base64")]).contains("AZURE_STORAGE_KEY"));
    assert!(error(AuthMode::Auto, URL, &[(SAS_TOKEN, "sp=rl")]).contains(SAS_TOKEN));
    assert!(error(AuthMode::Key, "https://cdn.example.com/cam", &[(KEY, SECRET)]).contains("not known"));
}

#[test]
fn the_value_that_cannot_be_used_is_named() {
    // The value is not shown: here it is a client's secret in the wrong variable.
    let swapped = [(TENANT_ID, "secret~value"), (CLIENT_ID, "c"), (CLIENT_SECRET, "s"), (TOKEN_FILE, "/t")];
    for mode in [AuthMode::ClientSecret, AuthMode::WorkloadIdentity] {
        assert_eq!(error(mode, URL, &swapped), "AZURE_TENANT_ID is not a tenant ID: it has a '~'");
    }
    let file = [(TENANT_ID, "t"), (CLIENT_ID, "c"), (TOKEN_FILE, "/nowhere/token")];
    assert_eq!(
        error(AuthMode::WorkloadIdentity, URL, &file),
        "cannot read the token file '/nowhere/token' (AZURE_FEDERATED_TOKEN_FILE): no such file or directory"
    );
    let hint =
        |url| resolve(AuthMode::Key, url, &[(KEY, "not base64")]).unwrap_err().hint().unwrap().to_owned();
    assert!(hint(URL).ends_with("--account-name media"));
    assert_eq!(hint(LOCAL), "copy the whole key");
}

#[test]
fn no_token_goes_over_plain_http() {
    let principal = [(TENANT_ID, "t"), (CLIENT_ID, "c"), (CLIENT_SECRET, "s")];
    for mode in [
        AuthMode::Cli,
        AuthMode::Azd,
        AuthMode::ManagedIdentity,
        AuthMode::ClientSecret,
        AuthMode::ClientCertificate,
        AuthMode::WorkloadIdentity,
    ] {
        assert!(error(mode, LOCAL, &principal).contains("not encrypted"), "{mode:?}");
    }
    assert_eq!(label(AuthMode::Auto, LOCAL, &principal), "no credential (none was found)");
}

#[test]
fn the_emulator_needs_one_variable() {
    let env = [(CONNECTION, "UseDevelopmentStorage=true")];
    assert_eq!(label(AuthMode::Auto, "az://cam", &env), "shared key (AZURE_STORAGE_CONNECTION_STRING)");
}
