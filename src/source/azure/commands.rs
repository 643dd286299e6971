//! The Azure CLI commands for users to run. All of them are built here, so that each has all its arguments
//! and is quoted for its shell.

use std::borrow::Cow;

use clap::ValueEnum;

/// The least privileged role that can list and read ("Azure built-in roles for Storage").
pub const ROLE: &str = "Storage Blob Data Reader";

/// How long a browser may cache the CORS rule, in seconds.
pub const CORS_MAX_AGE: &str = "3600";

/// A shell that a command is quoted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// Bash, and other POSIX shells
    Bash,
    /// PowerShell
    #[value(name = "powershell")]
    PowerShell,
}

impl Shell {
    /// The word as one argument, whatever is in it.
    fn quoted(self, word: &str) -> Cow<'_, str> {
        match self {
            // A shell cannot pass on a NUL, and no option or name contains one.
            Self::Bash => shlex::try_quote(word).unwrap_or_default(),
            Self::PowerShell => {
                let is_plain = |c: char| c.is_ascii_alphanumeric() || "./_:-".contains(c);
                if !word.is_empty() && word.chars().all(is_plain) {
                    return Cow::Borrowed(word);
                }
                let mut quoted = String::from("'");
                for c in word.chars() {
                    // Typographic quotes end a word as well ("about_Quoting_Rules").
                    if matches!(c, '\'' | '\u{2018}'..='\u{201b}') {
                        quoted.push(c);
                    }
                    quoted.push(c);
                }
                Cow::Owned(quoted + "'")
            }
        }
    }

    /// The word as one argument of a line in a file, whatever is in it. Windows PowerShell reads a file in the code page of
    /// the machine, so only ASCII is written for it.
    pub(crate) fn word(self, word: &str) -> String {
        if self == Self::Bash {
            return self.quoted(word).into_owned();
        }
        if word.is_ascii() && !word.contains(char::is_control) {
            // In an expression, a bare word would be a command.
            return format!("'{}'", word.replace('\'', "''"));
        }
        let mut escaped = String::new();
        for unit in word.encode_utf16() {
            match u8::try_from(unit) {
                Ok(byte) if byte.is_ascii_alphanumeric() || b" ./_:-".contains(&byte) => {
                    escaped.push(char::from(byte));
                }
                _ => escaped += &format!("\\u{unit:04x}"),
            }
        }
        format!("([regex]::Unescape('{escaped}'))")
    }

    /// What continues a command on the next line.
    fn continues(self) -> &'static str {
        match self {
            Self::Bash => " \\\n  ",
            Self::PowerShell => " `\n  ",
        }
    }
}

/// The value of an option.
#[derive(Clone, Debug)]
enum Value {
    Word(String),
    /// What another command prints.
    Output(Az),
}

/// A command of the Azure CLI.
#[derive(Clone, Debug)]
pub struct Az {
    command: &'static str,
    /// Each option with its values.
    options: Vec<(&'static str, Vec<Value>)>,
}

impl Az {
    fn new(command: &'static str) -> Self {
        Self { command, options: Vec::new() }
    }

    fn option(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.options.push((name, vec![Value::Word(value.into())]));
        self
    }

    fn some(self, name: &'static str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.option(name, value),
            None => self,
        }
    }

    fn value(mut self, name: &'static str, value: Value) -> Self {
        self.options.push((name, vec![value]));
        self
    }

    /// On one line, for a message.
    pub fn line(&self, shell: Shell) -> String {
        self.joined(shell, " ")
    }

    /// With a line for each option, for a script.
    pub fn lines(&self, shell: Shell) -> String {
        self.joined(shell, shell.continues())
    }

    fn joined(&self, shell: Shell, between: &str) -> String {
        let mut text = format!("az {}", self.command);
        for (name, values) in &self.options {
            text = text + between + name;
            for value in values {
                text.push(' ');
                match value {
                    Value::Word(word) => text.push_str(&shell.quoted(word)),
                    // Both shells replace it by the output, also within double quotes.
                    Value::Output(command) => text += &format!("\"$({})\"", command.line(shell)),
                }
            }
        }
        text
    }
}

/// A storage account, and where it is, as far as that is known.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a> {
    /// Its name.
    pub name: &'a str,
    /// The ID or name of its subscription.
    pub subscription: Option<&'a str>,
    /// The name of its resource group.
    pub resource_group: Option<&'a str>,
}

impl<'a> Account<'a> {
    /// An account of which only the name is known.
    pub fn named(name: Option<&'a str>) -> Self {
        Self { name: name.unwrap_or("ACCOUNT"), subscription: None, resource_group: None }
    }

    /// The command that prints a property of the account.
    fn show(self, property: &str) -> Az {
        Az::new("storage account show")
            .option("--name", self.name)
            .some("--resource-group", self.resource_group)
            .some("--subscription", self.subscription)
            .option("--query", property)
            .option("--output", "tsv")
    }

    /// Its resource ID, if it is known.
    pub fn known_id(self) -> Option<String> {
        let (subscription, group) = (self.subscription?, self.resource_group?);
        Some(format!(
            "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Storage/storageAccounts/{}",
            self.name
        ))
    }

    fn id(self) -> Value {
        self.known_id().map_or_else(|| Value::Output(self.show("id")), Value::Word)
    }

    fn group(self) -> Value {
        match self.resource_group {
            Some(group) => Value::Word(group.to_owned()),
            None => Value::Output(self.show("resourceGroup")),
        }
    }

    /// Assigns the role that reads one container of it to an application.
    pub fn assign_role(self, app_id: &str, container: &str) -> Az {
        Az::new("role assignment create")
            .option("--assignee", app_id)
            .option("--role", ROLE)
            .value("--scope", self.id())
            .some("--subscription", self.subscription)
            .option("--condition-version", "2.0")
            .option("--condition", role_condition(container))
    }

    /// Adds a rule that lets the pages of these origins read.
    pub fn add_cors_rule<S: AsRef<str>>(self, origins: &[S]) -> Az {
        let origins = origins.iter().map(|origin| Value::Word(origin.as_ref().to_owned())).collect();
        let mut rule = Az::new("storage account blob-service-properties cors-rule add")
            .option("--account-name", self.name)
            .value("--resource-group", self.group())
            .some("--subscription", self.subscription);
        rule.options.push(("--allowed-origins", origins));
        // A player may send and read any headers.
        rule.option("--allowed-methods", "GET")
            .option("--allowed-headers", "*")
            .option("--exposed-headers", "*")
            .option("--max-age", CORS_MAX_AGE)
    }

    /// Prints the account's keys.
    pub fn list_keys(self) -> Az {
        Az::new("storage account keys list")
            .option("--account-name", self.name)
            .some("--resource-group", self.resource_group)
            .some("--subscription", self.subscription)
    }

    /// Prints the stored access policies of a container.
    pub fn list_policies(self, container: &str) -> Az {
        Az::new("storage container policy list")
            .option("--account-name", self.name)
            .option("--container-name", container)
            .option("--auth-mode", "key")
    }

    /// Deploys a Bicep file to the account's resource group.
    pub fn deploy(self, file: &str) -> Az {
        Az::new("deployment group create")
            .value("--resource-group", self.group())
            .some("--subscription", self.subscription)
            .option("--template-file", file)
    }

    /// Prints the account's containers.
    pub fn list_containers(self) -> Az {
        Az::new("storage container list").option("--auth-mode", "login").option("--account-name", self.name)
    }
}

/// Gives an application an identity in the directory.
pub fn create_principal(app_id: &str) -> Az {
    Az::new("ad sp create").option("--id", app_id)
}

/// Prints the object ID of an application's identity.
pub fn show_principal(app_id: &str) -> Az {
    Az::new("ad sp show").option("--id", app_id).option("--query", "id").option("--output", "tsv")
}

/// Selects the national cloud that an endpoint is in; `None` for the public one, which is selected by default.
pub fn select_cloud(endpoint: &str) -> Option<Az> {
    let cloud = match endpoint {
        endpoint if endpoint.ends_with(".usgovcloudapi.net") => "AzureUSGovernment",
        endpoint if endpoint.ends_with(".chinacloudapi.cn") => "AzureChinaCloud",
        _ => return None,
    };
    Some(Az::new("cloud set").option("--name", cloud))
}

/// The condition that restricts the role to one container ("Example Azure role assignment conditions for Blob Storage").
pub fn role_condition(container: &str) -> String {
    let blobs = "Microsoft.Storage/storageAccounts/blobServices/containers";
    format!(
        "((!(ActionMatches{{'{blobs}/blobs/read'}})) OR (@Resource[{blobs}:name] StringEquals '{container}'))"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_condition_names_the_container() {
        assert_eq!(
            role_condition("cam"),
            "((!(ActionMatches{'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read'})) OR \
             (@Resource[Microsoft.Storage/storageAccounts/blobServices/containers:name] StringEquals 'cam'))"
        );
    }

    #[test]
    fn each_shell_gets_its_own_quotes() {
        let rule = Account::named(Some("media")).add_cors_rule(&["*"]).line(Shell::Bash);
        assert!(rule.contains("--allowed-origins '*' --allowed-methods GET --allowed-headers '*'"), "{rule}");
        assert!(
            rule.contains("--resource-group \"$(az storage account show --name media --query resourceGroup"),
            "{rule}"
        );
        for (word, quoted) in [
            ("GET", "GET"),
            ("", "''"),
            ("*", "'*'"),
            ("it's", "'it''s'"),
            ("it\u{2019}s", "'it\u{2019}\u{2019}s'"),
            ("<APP-ID>", "'<APP-ID>'"),
            ("$HOME `x` \"y\"", "'$HOME `x` \"y\"'"),
            ("@cams", "'@cams'"),
        ] {
            assert_eq!(Shell::PowerShell.quoted(word), quoted);
        }
    }

    /// What PowerShell makes of a word that begins with a quote ("about_Quoting_Rules", and `ScanStringLiteral` of its
    /// tokenizer), and what is left: each of these is a quote, and two of them are one.
    fn powershell(text: &str) -> Option<(String, &str)> {
        let is_quote = |c: &char| matches!(c, '\'' | '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}');
        let mut letters = text.strip_prefix('\'')?.chars();
        let mut word = String::new();
        while let Some(mut letter) = letters.next() {
            if is_quote(&letter) {
                let mut after = letters.clone();
                match after.next().filter(is_quote) {
                    None => return Some((word, letters.as_str())),
                    Some(second) => (letter, letters) = (second, after),
                }
            }
            word.push(letter);
        }
        None
    }

    /// `Regex.Unescape` of .NET, as far as it is needed.
    fn unescaped(text: &str) -> Option<String> {
        let mut units = Vec::new();
        let mut rest = text;
        while let Some(letter) = rest.chars().next() {
            if letter == '\\' {
                units
                    .push(u16::from_str_radix(rest.get(2..6).filter(|_| rest.starts_with("\\u"))?, 16).ok()?);
                rest = &rest[6..];
            } else {
                units.extend(letter.encode_utf16(&mut [0; 2]).iter());
                rest = &rest[letter.len_utf8()..];
            }
        }
        String::from_utf16(&units).ok()
    }

    proptest::proptest! {
        #[test]
        fn powershell_gets_each_word_as_it_is(word in "([\u{2018}-\u{201b}'\"$`%@(){};|&#\n\r\t \\\\a-e.-]|\\PC){0,12}") {
            let quoted = Shell::PowerShell.quoted(&word);
            let is_bare = |c: char| c.is_ascii_alphanumeric() || "./_:-".contains(c);
            if quoted.chars().all(is_bare) {
                proptest::prop_assert_eq!(&*quoted, &word);
            } else {
                proptest::prop_assert_eq!(powershell(&quoted), Some((word.clone(), "")));
            }
            let line = Shell::PowerShell.word(&word);
            proptest::prop_assert!(line.is_ascii() && !line.contains(char::is_control), "{}", line);
            let read = match line.strip_prefix("([regex]::Unescape(") {
                None => powershell(&line).map(|(word, rest)| (word, rest.to_owned())),
                Some(call) => powershell(call).and_then(|(text, rest)| Some((unescaped(&text)?, rest.replace("))", "")))),
            };
            proptest::prop_assert_eq!(read, Some((word, String::new())));
        }
    }

    #[test]
    fn only_a_national_cloud_is_selected() {
        let select = |endpoint| select_cloud(endpoint).map(|az| az.line(Shell::Bash));
        assert_eq!(select("https://m.blob.core.windows.net"), None);
        assert_eq!(
            select("https://m.blob.core.usgovcloudapi.net").as_deref(),
            Some("az cloud set --name AzureUSGovernment")
        );
        assert_eq!(
            select("https://m.blob.core.chinacloudapi.cn").as_deref(),
            Some("az cloud set --name AzureChinaCloud")
        );
    }
}
