use super::*;

fn address(text: &str) -> S3Address {
    text.parse().unwrap()
}

#[test]
fn an_address_has_the_url_of_its_bucket() {
    for (text, url) in [
        ("s3://releases", "https://releases.s3.us-east-1.amazonaws.com/stable/VERSION"),
        ("s3://releases/", "https://releases.s3.us-east-1.amazonaws.com/stable/VERSION"),
        ("S3://releases/a/b/", "https://releases.s3.us-east-1.amazonaws.com/a/b/stable/VERSION"),
        (
            "s3://releases/demo?region=eu-central-1",
            "https://releases.s3.eu-central-1.amazonaws.com/demo/stable/VERSION",
        ),
        ("s3://releases?region=cn-north-1", "https://releases.s3.cn-north-1.amazonaws.com.cn/stable/VERSION"),
        (
            "s3://releases?region=eusc-de-east-1",
            "https://releases.s3.eusc-de-east-1.amazonaws.eu/stable/VERSION",
        ),
        (
            "s3://releases.example.com?region=eu-central-1",
            "https://s3.eu-central-1.amazonaws.com/releases.example.com/stable/VERSION",
        ),
        (
            "s3://releases?path-style=true&region=eu-west-1",
            "https://s3.eu-west-1.amazonaws.com/releases/stable/VERSION",
        ),
        (
            "s3://releases/demo?endpoint=https://s3.example.com:9443&region=garage",
            "https://s3.example.com:9443/releases/demo/stable/VERSION",
        ),
        (
            "s3://releases?endpoint=https%3A%2F%2FS3.example.com%3A443%2F&path-style=false",
            "https://releases.s3.example.com/stable/VERSION",
        ),
        ("s3://My_Bucket?endpoint=http://[::1]:9000", "http://[::1]:9000/My_Bucket/stable/VERSION"),
        (
            "s3://releases/a=b+c@d,e~f!?endpoint=http://127.0.0.1:9000",
            "http://127.0.0.1:9000/releases/a%3Db%2Bc%40d%2Ce~f%21/stable/VERSION",
        ),
    ] {
        assert_eq!(address(text).url_of("stable/VERSION"), url, "{text}");
    }
}

#[test]
fn an_address_is_displayed_as_it_was_written() {
    for text in [
        "s3://releases",
        "s3://releases/demo/2026",
        "s3://releases/demo?region=eu-central-1",
        "s3://releases?region=us-east-1&endpoint=https://s3.example.com:9443&path-style=false&profile=ci",
        "s3://releases?profile=sso-Admin%20of%20caf%C3%A9%26co",
    ] {
        assert_eq!(address(text).to_string(), text);
    }
    let address = address("s3://releases?profile=a%26b&region=eu-west-1");
    assert_eq!(address.profile(), Some("a&b"));
    assert_eq!(address.to_string().parse::<S3Address>().unwrap(), address);
}

#[test]
fn an_invalid_address_is_refused_without_quoting_it() {
    for (text, why) in [
        ("https://releases", "does not begin with s3://"),
        ("s3:releases", "does not begin with s3://"),
        ("s3://AKIA:SECRET@releases", "contains credentials"),
        ("s3://releases:443/SECRET", "contains credentials or a port"),
        ("s3://releases/a#SECRET", "fragment"),
        ("s3://", "invalid bucket name"),
        ("s3:///SECRET", "invalid bucket name"),
        ("s3://ab", "invalid bucket name"),
        ("s3://a..b", "invalid bucket name"),
        ("s3://-ab", "invalid bucket name"),
        ("s3://ab-", "invalid bucket name"),
        ("s3://a%2fb", "invalid bucket name"),
        ("s3://caf\u{e9}", "invalid bucket name"),
        ("s3://releases/a//b", "invalid prefix"),
        ("s3://releases//", "invalid prefix"),
        ("s3://releases/../b", "invalid prefix"),
        ("s3://releases/.", "invalid prefix"),
        ("s3://releases/a%2fb", "invalid prefix"),
        ("s3://releases/a b", "invalid prefix"),
        ("s3://releases/a?secret-access-key=SECRET", "unknown option `secret-access-key`"),
        ("s3://releases?", "unknown option ``"),
        ("s3://releases?region=eu-west-1&region=eu-west-2", "the option `region` occurs twice"),
        ("s3://releases?region=", "the region ``"),
        ("s3://releases?region=eu.example.com/", "the region `eu.example.com/`"),
        ("s3://releases?region=%ff", "the option `region` is not UTF-8"),
        ("s3://releases?profile=", "profile is empty"),
        ("s3://releases?path-style=yes", "neither true nor false"),
        ("s3://releases?endpoint=s3.example.com", "must be https"),
        ("s3://releases?endpoint=/s3", "has no host"),
        ("s3://releases?endpoint=https://..", "an invalid host name"),
        ("s3://releases?endpoint=https://s3..example.com", "an invalid host name"),
        ("s3://releases?endpoint=https://.", "an invalid host name"),
        ("s3://releases?endpoint=https://s3.example.com:99999", "an invalid port"),
        ("s3://releases?endpoint=https://s3.example.com:443x", "an invalid port"),
        ("s3://releases?endpoint=https://s3.example.com:", "an invalid port"),
        ("s3://releases?endpoint=http://s3.example.com", "must be https"),
        ("s3://releases?endpoint=http://localhost:9000", "must be https"),
        ("s3://releases?endpoint=https://s3.example.com/base", "and nothing more"),
        ("s3://releases?endpoint=https://s3.example.com?SECRET", "and nothing more"),
        ("s3://releases?endpoint=https://key:SECRET@s3.example.com", "the endpoint contains credentials"),
        ("s3://releases?endpoint=https://10.0.0.1&path-style=false", "not an IP address"),
        ("s3://releases?path-style=false&endpoint=https://[::1]:9000", "not an IP address"),
        ("s3://My_Bucket?path-style=false", "valid in a host name"),
    ] {
        let error = text.parse::<S3Address>().unwrap_err();
        let message = error.to_string();
        assert!(matches!(error, Error::Usage { .. }) && message.contains(why), "{text}: {message}");
        assert!(!message.contains("SECRET"), "{text}: {message}");
    }
}

#[test]
fn methods_replace_the_options_of_the_address() {
    let address = address("s3://releases/demo?region=eu-west-1&endpoint=https://one.example.com");
    let other = address.with_region("eu-west-2").unwrap().with_endpoint("https://two.example.com").unwrap();
    let other = other.with_path_style(false).unwrap();
    assert_eq!(other.region(), Some("eu-west-2"));
    assert_eq!(other.url_of("blobs/x"), "https://releases.two.example.com/demo/blobs/x");
    assert!(other.with_endpoint("https://[::1]").is_err());
}
