//! Examples below the help of the commands that people use first. A test reads each of them as a shell would.

pub(super) const SERVE: &str = "\
Examples:
  volley serve                                    an instance on SQLite, at http://127.0.0.1:8080
  volley serve --addr 0.0.0.0:8080                reached from other machines
  volley serve --config /etc/volley/volley.toml   with settings from a file
  volley serve --only sender                      sends, and takes no requests";

pub(super) const IMPORT: &str = "\
Examples:
  volley import contacts.csv --dry-run                     says what would come of the file
  volley import contacts.csv --list Newsletter             puts everybody on a list
  volley import contacts.csv --map 'Customer no=external_id'
  volley import contacts.csv --rejected rejected.csv       keeps the rows that were not taken";

pub(super) const CONTACT: &str = "\
Examples:
  volley contact export --to contacts.csv
  volley contact export --list newsletter --tag vip --to vips.csv";

pub(super) const CAMPAIGN: &str = "\
Examples:
  volley campaign create Spring --list newsletter --template 3
  volley campaign create Spring --list newsletter --subject 'Hi {first_name}' --text spring.txt --html spring.html
  volley campaign list --status sending
  volley campaign preflight 7            counts everybody, and sends nothing
  volley campaign send 7 --watch         launches it, and shows its progress
  volley campaign pause 7
  volley campaign resume 7
  volley campaign report 7 --csv report.csv";

pub(super) const LIST: &str = "\
Examples:
  volley list subscribe newsletter ann@example.com
  volley list subscribe newsletter --tag customer
  volley list unsubscribe newsletter external:c-7
  volley list export newsletter --to newsletter.csv";

pub(super) const COMPLETIONS: &str = "\
Examples:
  volley completions bash > ~/.local/share/bash-completion/completions/volley
  volley completions zsh > ~/.zfunc/_volley
  volley completions fish > ~/.config/fish/completions/volley.fish";

pub(super) const MAN: &str = "\
Examples:
  volley man > volley.1
  volley man --to /usr/local/share/man/man1";

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::Cli;

    /// The words of a line up to what is said about it or is the shell's, quotes taken away.
    fn words(line: &str) -> Vec<String> {
        let line = line.split("   ").next().unwrap_or_default().split(" > ").next().unwrap_or_default();
        let mut words = Vec::new();
        for (n, part) in line.split('\'').enumerate() {
            if n % 2 == 1 {
                words.push(part.to_owned());
            } else {
                words.extend(part.split_whitespace().map(str::to_owned));
            }
        }
        words
    }

    #[test]
    fn every_example_is_a_command_that_volley_knows() {
        let mut read = 0;
        for text in
            [super::SERVE, super::IMPORT, super::CONTACT, super::CAMPAIGN, super::LIST, super::COMPLETIONS, super::MAN]
        {
            for line in text.lines().filter_map(|line| line.strip_prefix("  ")) {
                let words = words(line);
                if let Err(error) = Cli::try_parse_from(&words) {
                    panic!("{words:?}: {error}");
                }
                read += 1;
            }
        }
        assert!(read > 20, "only {read} examples were read");
    }
}
