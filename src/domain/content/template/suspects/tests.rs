use super::*;

fn known() -> BTreeSet<String> {
    ["loyalty_tier", "city", "price", "score", "bonus", "order_id"].into_iter().map(str::to_owned).collect()
}

/// What is found in a text: what stands there, and what to write in its place.
fn in_text(text: &str) -> Vec<(String, String)> {
    let content = Content { text: text.to_owned(), ..Content::default() };
    found(&content)
}

fn in_html(html: &str) -> Vec<(String, String)> {
    let content = Content { html: Some(html.to_owned()), ..Content::default() };
    found(&content)
}

fn found(content: &Content) -> Vec<(String, String)> {
    let known = known();
    let all = find(content, &Names::new(&known)).into_iter();
    all.map(|suspect| (suspect.text, suspect.instead.unwrap_or_default())).collect()
}

#[test]
fn what_was_meant_to_be_filled_in_is_found_with_what_to_write_instead() {
    let mut wrong = Vec::new();
    for (source, text, instead) in [
        // Braces.
        ("Hi {first_name)),", "{first_name)),", "{first_name}"),
        ("Hi {first_name", "{first_name", "{first_name}"),
        ("Hi {first_name, how are you?\n{city}", "{first_name,", "{first_name}"),
        ("Hi {first_name\n", "{first_name", "{first_name}"),
        ("Hi { first_name and\n{city}", "{ first_name", "{first_name}"),
        ("Hi {first_name|there", "{first_name|there", "{first_name}"),
        ("Hi {first_name,x}", "{first_name,x}", "{first_name}"),
        ("Hi {first_name?}", "{first_name?}", "{first_name}"),
        ("Hi {first_name!}", "{first_name!}", "{first_name}"),
        ("Hi {first_nam e}", "{first_nam e}", "{first_name}"),
        ("Hi {First Name:}", "{First Name:}", "{first_name}"),
        ("Hi {Frist Name}", "{Frist Name}", "{first_name}"),
        ("Hi {first\nname}", "{first\nname}", "{first_name}"),
        ("Hi {first_name\n}", "{first_name\n}", "{first_name}"),
        ("Hi {first_name|{last_name}}", "{first_name|", "{first_name}"),
        ("Hi {first_name}}", "{first_name}}", "{first_name}"),
        ("Hi {{first_name}}}", "{first_name}}}", "{first_name}"),
        ("Hi (first_name}", "first_name}", "{first_name}"),
        ("Hi first_name}, you", "first_name}", "{first_name}"),
        ("Hi {\"first_name\"}", "{\"first_name\"}", "{first_name}"),
        ("Hi {0}", "{0}", ""),
        ("https://a.example/?q={?query}", "{?query}", ""),
        ("Hi {name:there}", "{name:there}", "{name}"),
        ("Hi {see below, please}", "{see below, please}", ""),
        // Other products.
        ("Hi {contactfield=firstname}", "{contactfield=firstname}", "{first_name}"),
        ("Hi &#123;first_name&#125;", "&#123;first_name&#125;", "{first_name}"),
        ("Hi &lbrace;&lbrace;first_name&rbrace;&rbrace;", "&lbrace;&lbrace;first_name&rbrace;&rbrace;", "{first_name}"),
        ("Hi &#x5b;First Name&#x5D;", "&#x5b;First Name&#x5D;", "{first_name}"),
        ("Hi \\u007bfirst_name\\u007d", "\\u007bfirst_name\\u007d", "{first_name}"),
        ("Hi \\x7Bcity\\x7D", "\\x7Bcity\\x7D", "{city}"),
        ("Hi {first_name|*|FNAME|*}", "{first_name|*|FNAME|*}", "{first_name}"),
        ("Hi {first_name|[First Name]}!", "{first_name|[First Name]}", "{first_name}"),
        ("Hi {{ first_name|fallback(\"*|FNAME|*\") }}", "{{ first_name|fallback(\"*|FNAME|*\") }}", "{first_name}"),
        ("{% set x = '[First Name]' %}{{ x }}", "{% set x = '[First Name]' %}", "{first_name}"),
        ("Dear FIRSTNAME,", "FIRSTNAME", "{first_name}"),
        ("FIRSTNAME: we miss you", "FIRSTNAME", "{first_name}"),
        ("Dear FULL_NAME", "FULL_NAME", "{name}"),
        ("https://a.example/?n=FNAME", "FNAME", "{first_name}"),
        ("Dear [Recipient's Name],", "[Recipient's Name]", "{name}"),
        ("Dear [Client Name],", "[Client Name]", "{name}"),
        ("Dear [NAME HERE],", "[NAME HERE]", "{name}"),
        ("Dear [contact.first_name],", "[contact.first_name]", "{first_name}"),
        ("Dear [FirstName|there],", "[FirstName|there]", "{first_name}"),
        ("[UNSUBSCRIBE LINK]", "[UNSUBSCRIBE LINK]", "{unsubscribe_url}"),
        ("Dear FNAME LNAME!", "FNAME", "{first_name}"),
        ("FIRST_NAME, we miss you", "FIRST_NAME", "{first_name}"),
        ("Dear [insert first name],", "[insert first name]", "{first_name}"),
        ("Dear [Insert name here],", "[Insert name here]", "{name}"),
        ("On [please insert date]", "[please insert date]", ""),
        ("At [enter company name here]", "[enter company name here]", ""),
        ("Hi *|FNAME|*", "*|FNAME|*", "{first_name}"),
        ("*|IF:LNAME|*", "*|IF:LNAME|*", "{last_name}"),
        ("*|UNSUB|*", "*|UNSUB|*", "{unsubscribe_url}"),
        ("Hi *|FNAME| you", "*|FNAME|", "{first_name}"),
        ("Hi %FIRSTNAME%", "%FIRSTNAME%", "{first_name}"),
        ("Hi %recipient.first_name%", "%recipient.first_name%", "{first_name}"),
        ("Hi %%FirstName%%", "%%FirstName%%", "{first_name}"),
        ("Hi %(name)s", "%(name)s", "{name}"),
        ("Hi %s,", "%s", ""),
        ("Hi %1$s,", "%1$s", ""),
        ("Hi [[first_name]]", "[[first_name]]", "{first_name}"),
        ("[[data:firstname:\"\"]]", "[[data:firstname:\"\"]]", ""),
        ("[%first_name%]", "[%first_name%]", "{first_name}"),
        ("Hi [NAME]", "[NAME]", "{name}"),
        ("Hi [First Name],", "[First Name]", "{first_name}"),
        ("[UNSUBSCRIBEURL]", "[UNSUBSCRIBEURL]", "{unsubscribe_url}"),
        ("[CITY%%there]", "[CITY%%there]", "{city}"),
        ("[subscriber:firstname | default:reader]", "[subscriber:firstname | default:reader]", "{first_name}"),
        ("[Name,fallback=you]", "[Name,fallback=you]", "{name}"),
        ("Hi ${first_name}", "${first_name}", "{first_name}"),
        ("Hi ${user.firstName}", "${user.firstName}", "{first_name}"),
        ("Hi $[FNAME]$", "$[FNAME]$", "{first_name}"),
        ("Hi $FNAME$", "$FNAME$", "{first_name}"),
        ("Hi {$name}", "{$name}", "{name}"),
        ("Hi {!Contact.FirstName}", "{!Contact.FirstName}", "{first_name}"),
        ("Hi <%= first_name %>", "<%= first_name %>", "{first_name}"),
        ("Hi <?= $name ?>", "<?= $name ?>", "{name}"),
        ("Hi <<First Name>>", "<<First Name>>", "{first_name}"),
        ("Hi «First_Name»", "«First_Name»", "{first_name}"),
        ("Hi <first_name>", "<first_name>", "{first_name}"),
        ("Hi ##NAME##", "##NAME##", "{name}"),
        ("Hi #recipient:name#", "#recipient:name#", "{name}"),
        ("Hi @FIRSTNAME@", "@FIRSTNAME@", "{first_name}"),
        ("Hi ~Contact.FirstName~", "~Contact.FirstName~", "{first_name}"),
        ("Hi __first_name__", "__first_name__", "{first_name}"),
        ("Hi ((first_name))", "((first_name))", "{first_name}"),
        ("https://a.example/?n=%7B%7Bfirst_name%7D%7D", "%7B%7Bfirst_name%7D%7D", "{first_name}"),
        ("https://a.example/?e=%EMAIL%&x=1", "%EMAIL%", "{email}"),
        ("%%=v(@firstName)=%%", "%%=v(@firstName)=%%", "{first_name}"),
        ("%%[ SET @x = 1 ]%%", "%%[ SET @x = 1 ]%%", ""),
        ("Hi %%First Name%%", "%%First Name%%", "{first_name}"),
        ("%IF $FIRSTNAME%", "%IF $FIRSTNAME%", "{first_name}"),
        ("Hi %FIRST NAME%", "%FIRST NAME%", "{first_name}"),
        ("Hi %FIRSTNAME|TITLECASE%", "%FIRSTNAME|TITLECASE%", "{first_name}"),
        ("<unsubscribe>no</unsubscribe>", "<unsubscribe>", "{unsubscribe_url}"),
        ("[unsubscribe_link]", "[unsubscribe_link]", "{unsubscribe_url}"),
        ("Dear [Customer Name]", "[Customer Name]", "{name}"),
        ("Hi «FirstName»", "«FirstName»", "{first_name}"),
        (
            "[[firstname mode=\"cp\" default=\"friend\"]]",
            "[[firstname mode=\"cp\" default=\"friend\"]]",
            "{first_name}",
        ),
        ("https://a.example/?e=*%7cEMAIL%7c*", "*%7cEMAIL%7c*", "{email}"),
        ("Hi %{first_name}", "%{first_name}", "{first_name}"),
        ("Hi @{email}", "@{email}", "{email}"),
        ("Hi #{first_name}", "#{first_name}", "{first_name}"),
        ("#unsubscribeLink#", "#unsubscribeLink#", "{unsubscribe_url}"),
        ("Hi -name-, you", "-name-", "{name}"),
        ("Hi -first_name-", "-first_name-", "{first_name}"),
        ("Hi $first_name,", "$first_name", "{first_name}"),
        ("Hi $name", "$name", "{name}"),
        ("Hi %NAME", "%NAME", "{name}"),
        ("Hi :first_name", ":first_name", "{first_name}"),
        ("Hi !FNAME!", "!FNAME!", "{first_name}"),
        ("Hi ^name^", "^name^", "{name}"),
        ("Hi |first_name|", "|first_name|", "{first_name}"),
        ("Hi =lastName=", "=lastName=", "{last_name}"),
        ("Hi @first_name", "@first_name", "{first_name}"),
        ("Hi *first_name*", "*first_name*", "{first_name}"),
        ("Hi _firstName_", "_firstName_", "{first_name}"),
        ("https://a.example/?n=$first_name", "$first_name", "{first_name}"),
        ("Hi <%= first_name", "<%= first_name", "{first_name}"),
        ("Hi <?= $name\n?>", "<?= $name", "{name}"),
        ("https://a.example/?e=%5BEMAIL%5D&x=1", "%5BEMAIL%5D", "{email}"),
        ("https://a.example/?e=%5B%5Bemail%5D%5D", "%5B%5Bemail%5D%5D", "{email}"),
        ("https://a.example/?e=%25EMAIL%25", "%25EMAIL%25", "{email}"),
        ("https://a.example/?e=%24%7Bemail%7D", "%24%7Bemail%7D", "{email}"),
        ("https://a.example/?e=%2A%7CEMAIL%7C%2A", "%2A%7CEMAIL%7C%2A", "{email}"),
        ("https://a.example/?e=%7Bemail%7D", "%7Bemail%7D", "{email}"),
        ("Hi ｛first_name｝!", "｛first_name｝", "{first_name}"),
        ("Hi ｛｛name｝｝", "｛｛name｝｝", "{name}"),
        ("Hi ［First Name］", "［First Name］", "{first_name}"),
        ("Hi ％NAME％", "％NAME％", "{name}"),
        ("Hi <name>", "<name>", "{name}"),
        ("[unsubscribe]", "[unsubscribe]", "{unsubscribe_url}"),
        ("Hi [ first_name ]", "[ first_name ]", "{first_name}"),
        ("Hi $$FNAME$$", "$$FNAME$$", "{first_name}"),
        ("Hi !!first_name!!", "!!first_name!!", "{first_name}"),
        ("Hi ‹first_name›", "‹first_name›", "{first_name}"),
        ("Hi 【First_Name】", "【First_Name】", "{first_name}"),
        ("https://a.example/u/$email", "$email", "{email}"),
        ("https://a.example/u/:email", ":email", "{email}"),
        ("https://a.example/u/[email]", "[email]", "{email}"),
        ("{Loyalty\nTier}", "{Loyalty\nTier}", "{loyalty_tier}"),
        ("{first_name|default:\"there\"}", "{first_name|default:\"there\"}", "{first_name|there}"),
        ("{first_name|upper} x", "{first_name|upper}", "{{ first_name|upper }}"),
        ("{first_name|\"there\"}", "{first_name|\"there\"}", "{first_name|there}"),
        ("{first_name||there}", "{first_name||there}", "{first_name|there}"),
        ("{first_name|last_name}", "{first_name|last_name}", "{{ first_name|fallback(last_name) }}"),
        // Without any sign, where a person is addressed.
        ("Dear first_name,", "first_name", "{first_name}"),
        ("Dear FirstName we miss you", "FirstName", "{first_name}"),
        ("Dear First Name,", "First Name", "{first_name}"),
        ("Dear FIRST NAME", "FIRST NAME", "{first_name}"),
        ("Hi Name!", "Name", "{name}"),
        ("Hello, full name.", "full name", "{name}"),
        ("Hallo Vorname,", "Vorname", "{first_name}"),
        ("Hallo VORNAME wie geht es", "VORNAME", "{first_name}"),
        ("Sehr geehrte(r) Vorname Nachname,", "Vorname", "{first_name}"),
        ("Liebe/r Vorname,", "Vorname", "{first_name}"),
        ("Sehr geehrte Frau Nachname", "Nachname", "{last_name}"),
        ("Dear Mr. LastName,", "LastName", "{last_name}"),
        ("Bonjour Prénom,", "Prénom", "{first_name}"),
        ("Hola nombre:", "nombre", "{first_name}"),
        ("FirstName, we miss you", "FirstName", "{first_name}"),
        ("Hello\n first_name, your order", "first_name", "{first_name}"),
        ("{city|Dear Name,}", "{city|Dear Name,}", "{name}"),
        ("Dear *First Name*,", "First Name", "{first_name}"),
        ("Dear “First Name”, hello", "First Name", "{first_name}"),
        ("Hi First-Name,", "First-Name", "{first_name}"),
        ("Hi First Name - your order", "First Name", "{first_name}"),
        ("Hallo Vorname wie geht es dir", "Vorname", "{first_name}"),
        ("Dear First Name we miss you", "First Name", "{first_name}"),
        ("Dear\nFirst Name,", "First Name", "{first_name}"),
        ("Sehr geehrter Herr Dr. Nachname,", "Nachname", "{last_name}"),
        ("Dear Miss Last Name,", "Last Name", "{last_name}"),
        ("Hi there, First Name!", "First Name", "{first_name}"),
        ("Thank you, First Name!", "First Name", "{first_name}"),
        ("Thanks, Name!", "Name", "{name}"),
        ("Happy birthday, First Name!", "First Name", "{first_name}"),
        ("Grüß Gott Vorname,", "Vorname", "{first_name}"),
        ("Ciao Nome,", "Nome", "{name}"),
        ("Bonjour Madame Nom,", "Nom", "{name}"),
        ("Cześć Imię,", "Imię", "{first_name}"),
        ("Hej Förnamn,", "Förnamn", "{first_name}"),
        ("Geachte heer Achternaam,", "Achternaam", "{last_name}"),
        ("Estimado Sr. Apellido,", "Apellido", "{last_name}"),
        ("First Name, we miss you", "First Name", "{first_name}"),
        ("Dear [Customer],", "[Customer]", ""),
        ("Hi [XXX],", "[XXX]", ""),
        // Notes.
        ("[Name des Kunden]", "[Name des Kunden]", "{name}"),
        ("[Votre nom]", "[Votre nom]", ""),
        ("[Nombre de la empresa]", "[Nombre de la empresa]", "{first_name}"),
        ("[inserisci nome]", "[inserisci nome]", ""),
        ("[Your Website]", "[Your Website]", ""),
        ("[Insert product]", "[Insert product]", ""),
        ("Yours, (Company Name)", "(Company Name)", ""),
        ("At [Company] we", "[Company]", ""),
        ("Use [Discount Code] now", "[Discount Code]", ""),
        ("https://[your-domain]/x", "[your-domain]", ""),
        ("https://a.example/?e=YOUR_EMAIL", "YOUR_EMAIL", ""),
        ("Hi &&first_name&&", "&&first_name&&", "{first_name}"),
        ("Hi @(first_name)", "@(first_name)", "{first_name}"),
        ("Hi @Model.FirstName,", "@Model.FirstName", "{first_name}"),
        ("Hi [field:first_name]", "[field:first_name]", "{first_name}"),
        ("Hi [firstname default=\"there\"]", "[firstname default=\"there\"]", "{first_name}"),
        ("At [Company Name] we", "[Company Name]", ""),
        ("Yours, [Your Company]", "[Your Company]", ""),
        ("Dear [Vorname einfügen],", "[Vorname einfügen]", "{first_name}"),
        ("[Datum einfügen]", "[Datum einfügen]", ""),
        ("[insérer le prénom]", "[insérer le prénom]", ""),
        ("Dear (insert first name here),", "(insert first name here)", "{first_name}"),
        ("Dear <insert name>,", "<insert name>", "{name}"),
        ("At <Company Name>", "<Company Name>", ""),
        // Other spellings of signs.
        ("Hi $!{first_name}", "$!{first_name}", "{first_name}"),
        ("Hi $!first_name,", "$!first_name", "{first_name}"),
        ("Hi \\u{7b}first_name\\u{7d}", "\\u{7b}first_name\\u{7d}", "{first_name}"),
        ("Hi \\173first_name\\175", "\\173first_name\\175", "{first_name}"),
        ("Hi ﹛first_name﹜", "﹛first_name﹜", "{first_name}"),
        ("Hi ❴❴first_name❵❵", "❴❴first_name❵❵", "{first_name}"),
        ("Hi 〔First Name〕", "〔First Name〕", "{first_name}"),
        ("Hi &#123first_name&#125", "&#123first_name&#125", "{first_name}"),
        ("Hi &#123first_name&#125; you", "&#123first_name&#125;", "{first_name}"),
        ("Hi &lt;First Name&gt;", "&lt;First Name&gt;", "{first_name}"),
        ("Hi {\\{first_name}}", "{\\{first_name}", "{first_name}"),
        ("Hi { {first_name} }", "{ {first_name}", "{first_name}"),
        ("Hi % NAME %", "% NAME %", "{name}"),
        ("Hi !!NAME!!", "!!NAME!!", "{name}"),
        ("Hi <merge field=\"first_name\">", "<merge field=\"first_name\">", "{first_name}"),
        // Values that are not known yet.
        ("On [Date] in [City]", "[Date]", ""),
        ("in [City] we", "[City]", "{city}"),
        ("[Product] is now cheaper", "[Product]", ""),
        ("See [Link].", "[Link]", ""),
        ("Save [X]% off", "[X]", ""),
        ("Only $[X] today", "[X]", ""),
        ("Order [order_id] has left", "[order_id]", "{order_id}"),
        ("Order [orderNumber] has left", "[orderNumber]", ""),
        ("Hi [Name/Company],", "[Name/Company]", "{name}"),
        ("We at [City/Country] say", "[City/Country]", "{city}"),
        ("We were in [city] on [date], you know", "[city]", "{city}"),
        ("Hi ==first_name==,", "==first_name==", "{first_name}"),
        ("Hi ||FNAME||", "||FNAME||", "{first_name}"),
        ("Your order --ORDER_NUMBER--", "--ORDER_NUMBER--", ""),
        ("Your order ##ORDER_NUMBER## of <<company>>", "##ORDER_NUMBER##", ""),
        ("You at <<company>> are", "<<company>>", ""),
        ("Hi #First Name#", "#First Name#", "{first_name}"),
        ("Hi «Name», hello", "Name", "{name}"),
        ("Hi 'Name', hello", "Name", "{name}"),
        ("For you (first_name) only", "(first_name)", "{first_name}"),
        ("Yours <order_id>", "<order_id>", "{order_id}"),
        ("Hi <?first_name?>", "<?first_name?>", "{first_name}"),
        ("https://a.example/?e=EMAIL&x=1", "EMAIL", "{email}"),
        ("https://a.example/?e=~email~", "~email~", "{email}"),
        ("https://a.example/?e=|first_name|&x=1", "|first_name|", "{first_name}"),
        ("https://a.example/?id=[ID]&x=1", "[ID]", ""),
        ("On <DATE> we", "<DATE>", ""),
        ("Vorname, wir vermissen dich", "Vorname", "{first_name}"),
        // Tags in double braces.
        ("Code {{1}}", "{{1}}", ""),
        ("Hi {{ first_name }", "{{ first_name }", "{first_name}"),
        ("Hi {{ first_name", "{{ first_name", "{first_name}"),
        ("{{#if city}}x{{/if}}", "{{#if city}}", code_of_conditions()),
        ("{{{first_name}}}", "{{{first_name}}}", "{first_name}"),
        ("{{ .Subscriber.FirstName }}", "{{ .Subscriber.FirstName }}", "{first_name}"),
        ("<<{{range .X}}>>", "{{range .X}}", code_of_conditions()),
        ("{{end}}", "{{end}}", code_of_conditions()),
        ("{{ first_name | default: 'you' }}", "{{ first_name | default: 'you' }}", "{first_name|Customer}"),
        ("{{ frist-name }}", "{{ frist-name }}", "{first_name}"),
        ("{{ Frist Name }}", "{{ Frist Name }}", "{first_name}"),
        ("{% unless city %}", "{% unless city %}", code_of_conditions()),
    ] {
        let all = in_text(source);
        let first = all.first().map(|(text, instead)| (text.as_str(), instead.as_str()));
        wrong.extend((first != Some((text, instead))).then(|| format!("{source}: {all:?}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn code_of_conditions() -> &'static str {
    "{% if first_name %}…{% else %}…{% endif %} for a condition and {% for item in items %}…{% endfor %} for a loop"
}

#[test]
fn what_is_no_placeholder_stays_what_it_is() {
    let mut wrong = Vec::new();
    for source in [
        "{first_name} {{ first_name }} {First Name} {first-name|there} { loyalty tier } {Loyalty-Tier} ${{ price }} #{order_id}",
        "{{ score-bonus }} {{ score - bonus }} {{ score if bonus else 1 }} {{ attributes[\"Loyalty tier\"] }}",
        "{% if city %}{city}{% endif %}{# {nobody} *|X|* #}{% raw %}*|FNAME|* {first name?} ${x}{% endraw %}",
        "{} { } {1, 2, 3} { 1 } } } :-{ ;{ =} :-} 8-} ={ x > } }:-> {:-)",
        "{\"a\": 1, \"b\": {\"c\": \"{city}\"}}",
        "function f() {\n  return 1;\n}",
        "5 % to 10%, 100%, 50%off and 20%more, 10%-20%, 5 %s",
        "$5 and $6, US$ and CA$, a$b, $",
        "[1] [NEWS] [here](https://a.example/) [Email]: x [Name](https://a.example/) [x] [] [[1, 2], [3]] [update]",
        "a < b > c, <https://a.example/>, <ann@example.com>, <3, << >>, a<<b",
        "https://a.example/%C3%A9/%20b%20c?x=%D0%A1%D0%BE&y=100%25#a:b#c",
        "« Bonjour » «Email» »Name« Ünal & Söhne; R&amp;D @ann@example @ 5 ~ 6 ~7~ C# and F# __init__ ((x)) ((note 1)) __________",
        "[CITY] Berlin\n[Event] Summer party\n[VIP] sale, [LAST] day, see [link], (Date), (Link), ##SALE## ###SALE### %%%SALE%%% $$SALE$$ <<<SALE>>> <<Read more>>",
        "https://a.example/?f[name]=x&filter[email]=y {city|Berlin} {first_name|you and me} {price|10%}",
        "* one\n* two |*| **bold** *|",
        "#{order_id} 50%{first_name} @{{ first_name }} #{{ first_name }} %{{ name }} $price5 up-to-date first-name-tag --email-- - name -",
        "*name* _email_ ~name~ |name|email| #name #email @name :email: :name name: x=name email= +email &name; C:\\name 10 %name",
        "https://a.example/?f%5Bemail%5D=x&j=%7B%22a%22%3A1%7D&t=100%25&p=%2Fname%2F&q=%5B1%5D https://a.example/#name-email",
        "$uicideboy$ $AAPL$ H_{2}O x^{2} \\d{3} a[0]{1} %APPDATA%\\\\x #FirstName -Email- signature a:b https://a.example/x:y",
        "（name） ［１］ 【name】 ５０％ ＃１ ｛１，２｝ ＜３ ￥５ ：） ～",
        "FNAMES FIRSTNAME_1 First name FAME LAST [insert coin] [Add to basket] [enter] [type here!] [Fill] [Add address] [Enter your email]",
        "«E-Mail» ‹E-Mail› 「E-Mail」 【E-Mail】 {first_name|reader} {{ first_name|fallback('you') }}",
        "&#8364;5 &amp; &#39;x&#39; info&#64;example.com &#169; &#123; &#125; caf\\u00e9 \\x41 a\\u007c",
        "my_first_name mail_first_name_x a.first_name x=first_name {first_name} snake_case_name",
        "# Title #\n## Title ##\n### x ###",
        "[Jetzt eintragen] [Termin eintragen] [Formulier invullen] [Inserir cupom] [Introducir código] [File name] [Product name]",
        "[Your code] [Your link] expires [Your number] 17 [No name] FIRST_NAME=Ann (product name) a && b && c @Model @(2)",
        "Für jeden Tag Name, Datum und Ort. Am Abend Name, Adresse. Ein Mann und eine Frau. Name: x. Beste Name, beste Firma",
        "Guten Tag. Name: Peter\nWelcome. Name, email\nHi. First name, last name: all\nHello (again), Hi [1], Dear all",
        "Dear customer, Dear first customers, Hi Ann, Hello name of the game, Hallo Name der Rose; Herr Ober, Guten Tag",
        "your first_name, last_name and email\nfirst_name, last_name, email\nFirst name, please\nMcDonald, we\nName: x",
        "[Email] course HELLO NAME GAME FANS (insert coin) (enter your name here) [Save the date] [Your turn] [No name brand]",
        "%PATH% and %APPDATA% vec![name] a![x]\n|first_name|last_name|email|\n[your weekly digest] C:\\100 \\u{e9} \\101 &#8364 x",
        "https://a.example/?sort=-name&order=email&f={\"email\":1}&q=\"name\"&fields=first_name&country=ID https://a.example/?via=@name",
        "Read it here [link] or below\n[date]: x\n== first_name\n---- name ---- || a || :: b ::",
        "<Input Type> <a name> 〔1〕 ⟦x⟧ ∗ note ｜ Dear Name of the year 2026",
    ] {
        wrong.extend(Some(in_text(source)).filter(|all| !all.is_empty()).map(|all| format!("{source}: {all:?}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn code_in_html_stays_what_it_is() {
    let mut wrong = Vec::new();
    for source in [
        "<style>a{b:c}@media print{.d{e:f}}.x{first_name:y}</style>",
        "<STYLE type=\"text/css\"> .name { color: red } [data-x] { a: b } </STYLE>",
        "<script>var o = {a, b}; const {city} = x; f(`${y}`); if (a<b) { c() }; $(document)</script>",
        "<script type=\"application/ld+json\">{\"target\": \"https://a.example/?q={search_term}\", \"b\": {\"name\": \"{order_id}\"}}</script>",
        "<!-- *|FNAME|* {{nothing}} -->".replace("{{nothing}}", "{first name}").as_str(),
        "<!--[if mso]><style>.a{b:c}</style><xml><o:x>96</o:x></xml><![endif]--><!--[if !mso]><!-->x<!--<![endif]-->",
        "<div style=\"a:{b}\" x-data=\"{ open: false }\" onclick=\"f({a: 1})\" class=\"[a]\">x</div>",
        "<style>a{width:calc(50% - 1px)}/*|x|*/ /* *|FNAME|* */</style><script>f(\"%\", '*', \"%d%\"); a='<'+b</script>",
        "<td width=\"50%\" height=\"100%\" bgcolor=\"#ffffff\"><a href=\"#top\">a</a>&nbsp;&copy; 2026</td>",
        "<!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0//EN\" \"http://www.w3.org/TR/xhtml1.dtd\"><?xml version=\"1.0\"?><html></html>",
        "<pre>fn main() {\n    println!(\"hi\");\n}</pre>",
        "<pre><code>const a = {\n  b: 1,\n};\nif (x) {\n  y();\n}</code></pre>",
        "<pre>{\n  &quot;a&quot;: {\n    &quot;b&quot;: 1\n  }\n}</pre>",
        "<a href=\"mailto:ann@example.com?subject=A%20b%C3%A9%20c\">{city}</a>",
    ] {
        wrong.extend(Some(in_html(source)).filter(|all| !all.is_empty()).map(|all| format!("{source}: {all:?}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_recipients_see_or_follow_in_html_is_looked_at() {
    let mut wrong = Vec::new();
    for (source, text, instead) in [
        ("<p>Hi {<b>first_name</b>}</p>", "{<b>first_name</b>}", "{first_name}"),
        ("<p>Hi {first&nbsp;nam}</p>", "{first&nbsp;nam}", "{first_name}"),
        ("<a href=\"*|UNSUB|*\">x</a>", "*|UNSUB|*", "{unsubscribe_url}"),
        ("<a href=\"https://a.example/?q={q,lang}\">x</a>", "{q,lang}", ""),
        ("<img alt=\"{First_Name!}\">", "{First_Name!}", "{first_name}"),
        ("<p>[First&nbsp;Name]</p>", "[First Name]", "{first_name}"),
        ("<p>[<b>First Name</b>]</p>", "[First Name]", "{first_name}"),
        ("<p>*<span>|FNAME|</span>*</p>", "|FNAME|", "{first_name}"),
        ("<p>*<span>|MERGE1|</span>*</p>", "*|MERGE1|*", ""),
        ("<p>*&#124;FNAME&#124;*</p>", "*&#124;FNAME&#124;*", "{first_name}"),
        ("<p>&#123;first_name&#125;</p>", "&#123;first_name&#125;", "{first_name}"),
        ("<p>[[<b>first_name</b>]]</p>", "[[first_name]]", "{first_name}"),
        ("<title>[First Name]</title>", "[First Name]", "{first_name}"),
        ("<!--[if mso]><p>*|FNAME|*</p><![endif]-->", "*|FNAME|*", "{first_name}"),
        ("<p>Hi &lt;&lt;First Name&gt;&gt;</p>", "&lt;&lt;First Name&gt;&gt;", "{first_name}"),
        ("<p>Hi <?php echo $name; ?></p>", "<?php echo $name; ?>", "{name}"),
        ("<script type=\"application/ld+json\">{\"name\": \"*|FNAME|*\"}</script>", "*|FNAME|*", "{first_name}"),
        ("<p data-name=\"%FNAME%\">x</p>", "%FNAME%", "{first_name}"),
        ("<script type=\"application/ld+json\">{\"d\": \"Hi *|FNAME|*, hello\"}</script>", "*|FNAME|*", "{first_name}"),
        ("<style>a{background:url(https://a.example/*|FNAME|*.png)}</style>", "*|FNAME|*", "{first_name}"),
        ("<style>a:before{content:'Hi %%FirstName%%!'}</style>", "%%FirstName%%", "{first_name}"),
        ("<p>Dear <b>First Name</b>,</p>", "First Name", "{first_name}"),
        ("<p>Hello&nbsp;first_name</p>", "first_name", "{first_name}"),
        ("<p>Hi &amp;#123;first_name&amp;#125;</p>", "&#123;first_name&#125;", "{first_name}"),
        ("<style>a{b:c}</style><p>{first_name)</p>", "{first_name)</p>", "{first_name}"),
    ] {
        let all = in_html(source);
        let first = all.first().map(|(text, instead)| (text.as_str(), instead.as_str()));
        wrong.extend((first != Some((text, instead))).then(|| format!("{source}: {all:?}")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_refusal_names_the_place_and_the_way_out() {
    let content = Content { text: "Hello\n  Ä *|FNAME|*".to_owned(), ..Content::default() };
    let known = known();
    let all = find(&content, &Names::new(&known));
    let said: Vec<String> = all.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "line 2, column 5: *|FNAME|* is a merge tag of Mailchimp and is not filled in. Write {first_name}. To send it exactly like this, write \
          {% raw %} before it and {% endraw %} after it, or name it in literal"
        ]
    );
    let many = Content { subject: "*|A|*".repeat(50), ..Content::default() };
    assert_eq!(find(&many, &Names::new(&known)).len(), MOST);
}

/// Each of these would take minutes if every sign looked through all that stands before or behind it.
#[test]
fn a_part_that_is_nothing_but_signs_is_read_in_one_pass() {
    for sign in [
        "{",
        "{a ",
        "{#",
        "%1",
        "[[",
        "${",
        "*|",
        "<",
        "}",
        "a}",
        "{{",
        "&lt;%",
        "/%a1",
        "{nobody1}",
        "{{#x}}",
        "{{else}}",
        "[a]",
        "%a%",
        "<a href=x>y",
        "$a ",
        ":name",
        "%7B",
        "/%7Ba",
        "｛",
        "｛a",
        "-",
        "Dear ",
        "|name",
        "a\n",
        "?",
        "xx ",
        ", Name!",
        "<style>\"*|",
    ] {
        let source = sign.repeat(MAX_SOURCE_BYTES / 16 / sign.len());
        assert!(in_text(&source).len() <= MOST && in_html(&source).len() <= MOST, "{sign}");
    }
}
