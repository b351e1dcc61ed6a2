use async_trait::async_trait;
use order_application::{StoreError, ViewRepair, ViewsStatus};
use order_domain::OrderId;

pub(crate) struct Unmended;

#[async_trait]
impl ViewRepair for Unmended {
    async fn mend(&self, _: &[OrderId], _: &str) -> Result<(), StoreError> {
        Ok(())
    }

    fn views(&self) -> ViewsStatus {
        ViewsStatus::default()
    }
}

pub(crate) mod rebuilding {
    use order_store::RebuildReport;

    pub(crate) struct PostgresStore;

    impl PostgresStore {
        pub(crate) async fn rebuild(
            _: &str,
            progress: &mut (dyn FnMut(u64, u64) + Send),
        ) -> Result<RebuildReport, std::io::Error> {
            progress(0, 0);
            Err(std::io::Error::other("cannot be rebuilt"))
        }
    }
}
