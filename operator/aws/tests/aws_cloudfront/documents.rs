//! Configurations as XML.

use learningplatform_aws::cloudfront::Element;

/// The same with all lists and fields in one order, so that what differs is what they say.
pub fn sorted(element: &Element) -> String {
    let mut copy = element.clone();
    fn sort(element: &mut Element) {
        element.children.iter_mut().for_each(sort);
        if element.name != "Items" || element.children.iter().all(|child| child.name != "CacheBehavior") {
            element.children.sort_by_key(Element::to_xml);
        }
    }
    sort(&mut copy);
    copy.to_xml()
}

#[test]
fn a_document_is_written_as_it_was_read() {
    let xml = "<DistributionConfig><CallerReference>a&amp;b</CallerReference><Aliases><Quantity>2</Quantity><Items>\
               <CNAME>x</CNAME><CNAME>y &lt;z&gt;</CNAME></Items></Aliases><Comment/><Unheard><Of> 1 </Of></Unheard>\
               </DistributionConfig>";
    let element = Element::parse(xml).expect("it is XML");
    assert_eq!(element.to_xml(), xml);
    assert_eq!(element.value("CallerReference"), Some("a&b"));
    assert_eq!(element.get("Aliases").expect("set").items().len(), 2);
    assert_eq!(element.value("Comment"), None);
}

#[test]
fn a_document_as_aws_sends_it_is_read() {
    let xml = "<?xml version=\"1.0\"?>\n<DistributionConfig xmlns=\"http://cloudfront.amazonaws.com/doc/2020-05-31/\">\n  \
               <Comment>it&#39;s &#x22;x&#x22;</Comment>\n  <Enabled>true</Enabled>\n <WebACLId></WebACLId></DistributionConfig>\n";
    let element = Element::parse(xml).expect("it is XML");
    assert_eq!(element.name, "DistributionConfig");
    assert_eq!(element.value("Comment"), Some("it's \"x\""));
    assert_eq!(
        element.to_xml(),
        "<DistributionConfig><Comment>it's \"x\"</Comment><Enabled>true</Enabled><WebACLId/></DistributionConfig>"
    );
    for broken in ["", "plain", "<a><b></a>", "<a>&nothing;</a>"] {
        assert!(Element::parse(broken).is_err(), "{broken}");
    }
}

#[test]
fn the_value_of_a_header_is_not_shown() {
    let header = Element::node(
        "OriginCustomHeader",
        vec![Element::text("HeaderName", "X-Verify"), Element::text("HeaderValue", "hunter2")],
    );
    let shown = format!("{header:?}");
    assert!(shown.contains("X-Verify") && !shown.contains("hunter2"), "{shown}");
}
