//! The API server's part: objects, Secrets, and who wrote how often.

use super::*;

impl State {
    pub(super) fn make(&mut self, name: &str, spec: &HostCertificateSpec, about: &About) -> HostCertificate {
        let mut object = HostCertificate::new(name, spec.clone());
        self.versions += 1;
        object.metadata.uid = Some(format!("uid-{}", self.versions));
        object.metadata.generation = Some(1);
        object.metadata.finalizers = Some(vec![lamia_api::meta::FINALIZER_CERTIFICATE.to_owned()]);
        self.objects.insert(name.to_owned(), object.clone());
        self.say(name, about);
        self.objects[name].clone()
    }

    fn say(&mut self, name: &str, about: &About) {
        let Some(object) = self.objects.get_mut(name) else { return };
        let mut said = BTreeMap::new();
        said.extend(about.claim.clone().map(|claim| (lamia_api::meta::ANNOTATION_CLAIM.to_owned(), claim)));
        if !about.hosts.is_empty() {
            said.insert(lamia_api::meta::ANNOTATION_HOSTS.to_owned(), about.hosts.clone());
        }
        said.extend(about.parked_since.map(|at| (lamia_api::meta::ANNOTATION_PARKED.to_owned(), at.to_string())));
        object.metadata.annotations = Some(said);
    }

    fn api(&self, what: &str) -> Result<(), StoreError> {
        if self.api_is_down { Err(lost_write(what)) } else { Ok(()) }
    }

    fn own(&mut self, owner: &Owner) -> Result<&mut HostCertificate, StoreError> {
        let found = self.objects.get_mut(&owner.name).filter(|object| object.metadata.uid.as_ref() == Some(&owner.uid));
        found.ok_or_else(|| StoreError::Gone { what: owner.name.clone() })
    }

    fn write_secret(&mut self, owner: &Owner, write: impl FnOnce(&mut StoredSecret)) -> Version {
        self.versions += 1;
        self.secret_writes += 1;
        let secret = self.secrets.entry(owner.name.clone()).or_default();
        secret.version = self.versions;
        write(secret);
        Version(secret.version)
    }
}

fn lost_write(what: &str) -> StoreError {
    StoreError::Api { what: what.to_owned(), source: "no answer".into() }
}

#[async_trait]
impl CertificateStore for World {
    async fn create(
        &self,
        name: &str,
        spec: &HostCertificateSpec,
        about: &About,
    ) -> Result<Option<HostCertificate>, StoreError> {
        let act = || {
            let mut state = self.lock();
            state.api(name)?;
            if state.objects.contains_key(name) {
                return Ok(None);
            }
            state.other_writes.push("create");
            Ok(Some(state.make(name, spec, about)))
        };
        self.trip.pass("create", act, || lost_write(name)).await
    }

    async fn look(&self, owner: &Owner) -> Result<SecretState, StoreError> {
        self.trip.pass("look", || Ok(self.secret_state(&owner.name)), || lost_write("Secret")).await
    }

    async fn annotate(&self, owner: &Owner, about: &About) -> Result<(), StoreError> {
        let act = || {
            let mut state = self.lock();
            state.api("annotations")?;
            state.own(owner)?;
            state.say(&owner.name, about);
            state.other_writes.push("annotate");
            Ok(())
        };
        self.trip.pass("annotate", act, || lost_write("annotations")).await
    }

    async fn save_status(&self, owner: &Owner, status: &HostCertificateStatus) -> Result<(), StoreError> {
        let act = || {
            let mut state = self.lock();
            state.api("status")?;
            let object = state.own(owner)?;
            object.status = Some(status.clone());
            state.status_writes += 1;
            Ok(())
        };
        self.trip.pass("save_status", act, || lost_write("status")).await
    }

    async fn save_pending_key(&self, owner: &Owner, key: &Secret) -> Result<Version, StoreError> {
        let act = || {
            let mut state = self.lock();
            state.api("Secret")?;
            state.own(owner)?;
            Ok(state.write_secret(owner, |secret| secret.pending = Some(key.clone())))
        };
        self.trip.pass("save_pending_key", act, || lost_write("Secret")).await
    }

    async fn save_certificate(&self, owner: &Owner, certificate: &NewCertificate<'_>) -> Result<Version, StoreError> {
        let act = || {
            let mut state = self.lock();
            state.api("Secret")?;
            state.own(owner)?;
            state.certificates.insert(certificate.leaf.sha256.clone());
            Ok(state.write_secret(owner, |secret| {
                secret.chain = Some(certificate.chain.to_owned());
                secret.key = Some(certificate.key.clone());
                secret.directory = Some(certificate.directory.to_owned());
                secret.pending = None;
            }))
        };
        self.trip.pass("save_certificate", act, || lost_write("Secret")).await
    }

    async fn read_pending_key(&self, owner: &Owner) -> Result<Option<Secret>, StoreError> {
        let act = || {
            let state = self.lock();
            state.api("Secret")?;
            Ok(state.secrets.get(&owner.name).and_then(|secret| secret.pending.clone()))
        };
        self.trip.pass("read_pending_key", act, || lost_write("Secret")).await
    }

    async fn release(&self, owner: &Owner) -> Result<(), StoreError> {
        let act = || {
            let mut state = self.lock();
            state.own(owner)?;
            state.objects.remove(&owner.name);
            state.secrets.remove(&owner.name);
            state.other_writes.push("release");
            Ok(())
        };
        self.trip.pass("release", act, || lost_write("finalizer")).await
    }

    async fn delete(&self, owner: &Owner) -> Result<(), StoreError> {
        let act = || {
            let mut state = self.lock();
            state.other_writes.push("delete");
            let now = state.now;
            let object = state.own(owner)?;
            object.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(now));
            Ok(())
        };
        self.trip.pass("delete", act, || lost_write("object")).await
    }
}
