//! The story of the demo.

use suite::demo;

use crate::wire::balance;
use crate::world::{run, world};

#[test]
fn the_story_is_as_it_is_told() {
    run(async {
        let clients = world().await.newcomer().await;
        let mut page = Vec::new();
        let told = demo::play(&clients, &mut page).await.unwrap();
        // The story checks itself; here somebody else looks.
        let [house, ada, grace] = &told.accounts;
        for (account, posted) in [(house, "250.00"), (ada, "210.00"), (grace, "40.00")] {
            assert_eq!(balance(&clients, account).await.posted.unwrap().amount, posted);
        }
        let page = String::from_utf8(page).unwrap();
        for told in ["INSUFFICIENT_FUNDS", "shortfall", "60.00", &told.record, &told.customers[1]] {
            assert!(page.contains(told), "{told} is not in:\n{page}");
        }
    });
}
